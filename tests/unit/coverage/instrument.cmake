# SPDX-License-Identifier: MIT
# Included by tests/coverage right after project(): the libraries count what is executed, the tests
# themselves do not. What the headers of the library mark as always inline becomes a function of
# its own, so that each of its branches exists once and not once per caller.

set(coverage_flags --coverage -fprofile-update=atomic -Dalways_inline=unused -Dflatten=unused)
set(coverage_end ${CMAKE_CURRENT_LIST_DIR}/end.c)

function(coverage_instrument)
    foreach(target hakmem_prefix hakmem_static hakmem_shared)
        target_sources(${target} PRIVATE ${coverage_end})
        target_compile_options(${target} PRIVATE ${coverage_flags})
        target_link_options(${target} PUBLIC $<$<NOT:$<STREQUAL:${target},hakmem_shared>>:--coverage>)
    endforeach()
    # The preloaded library must see the end of a process itself.
    file(READ ${PROJECT_SOURCE_DIR}/src/hakmem.map map)
    string(REPLACE "global:" "global: _exit; _Exit; abort;" map "${map}")
    file(WRITE ${PROJECT_BINARY_DIR}/coverage.map "${map}")
    get_target_property(options hakmem_shared LINK_OPTIONS)
    list(TRANSFORM options REPLACE "--version-script=.*"
         "--version-script=${PROJECT_BINARY_DIR}/coverage.map")
    set_target_properties(hakmem_shared PROPERTIES LINK_OPTIONS "${options}")
    target_link_options(hakmem_shared PRIVATE --coverage)
    # These tests compile sources of the library into themselves.
    foreach(target unit_config_types unit_adopt_window)
        target_compile_options(${target} PRIVATE ${coverage_flags})
        target_link_options(${target} PRIVATE --coverage)
    endforeach()
endfunction()

cmake_language(DEFER DIRECTORY ${PROJECT_SOURCE_DIR} CALL coverage_instrument)
