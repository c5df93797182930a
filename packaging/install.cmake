# SPDX-License-Identifier: MIT
# Install rules, include()d by the top CMakeLists.txt after all targets exist.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(HAKMEM_PACKAGING_DIR ${CMAKE_CURRENT_LIST_DIR})
set(HAKMEM_MAN_DIR ${PROJECT_SOURCE_DIR}/docs/man)

# libhakmem.so -> libhakmem.so.0 -> libhakmem.so.0.1.0
set_target_properties(hakmem_shared PROPERTIES
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR})

install(TARGETS hakmem_shared
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime
    NAMELINK_COMPONENT development)
install(TARGETS hakmem_static hakmem_prefix
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(TARGETS hakmem_cmd
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime)
# The bench lab: what `hakmem bench`, `ab` and `report` run.
get_property(HAKMEM_BENCH_PROGRAMS GLOBAL PROPERTY HAKMEM_BENCH_PROGRAMS)
install(TARGETS ${HAKMEM_BENCH_PROGRAMS}
    RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/hakmem COMPONENT bench
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/hakmem COMPONENT bench)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/bench/lab
    DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/hakmem COMPONENT bench
    FILES_MATCHING PATTERN "*.py" PATTERN __pycache__ EXCLUDE)
install(FILES ${PROJECT_SOURCE_DIR}/include/hakmem/hakmem.h
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/hakmem COMPONENT development)

# pkg-config: below ${prefix} where possible, so that the tree can be moved.
foreach(kind LIBDIR INCLUDEDIR)
    if(IS_ABSOLUTE "${CMAKE_INSTALL_${kind}}")
        set(HAKMEM_PC_${kind} "${CMAKE_INSTALL_${kind}}")
    else()
        set(HAKMEM_PC_${kind} "\${prefix}/${CMAKE_INSTALL_${kind}}")
    endif()
endforeach()
# The prefix is found from the file itself: cmake --install may choose another one.
file(RELATIVE_PATH HAKMEM_PC_UP "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
configure_file(${HAKMEM_PACKAGING_DIR}/hakmem.pc.in ${PROJECT_BINARY_DIR}/hakmem.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/hakmem.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)

set(HAKMEM_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/hakmem)
configure_package_config_file(
    ${HAKMEM_PACKAGING_DIR}/hakmemConfig.cmake.in ${PROJECT_BINARY_DIR}/hakmemConfig.cmake
    INSTALL_DESTINATION ${HAKMEM_CMAKE_DIR}
    PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR
    NO_CHECK_REQUIRED_COMPONENTS_MACRO)
# Before 1.0 a new minor version may change the interface.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/hakmemConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES
    ${PROJECT_BINARY_DIR}/hakmemConfig.cmake ${PROJECT_BINARY_DIR}/hakmemConfigVersion.cmake
    DESTINATION ${HAKMEM_CMAKE_DIR} COMPONENT development)

# hakmem(7) lists the settings the command knows.
add_custom_command(OUTPUT ${PROJECT_BINARY_DIR}/hakmem.7
    COMMAND ${CMAKE_COMMAND}
        -DCOMMAND=$<TARGET_FILE:hakmem_cmd>
        -DINPUT=${HAKMEM_MAN_DIR}/hakmem.7.in
        -DOUTPUT=${PROJECT_BINARY_DIR}/hakmem.7
        -P ${HAKMEM_PACKAGING_DIR}/fill-man.cmake
    DEPENDS hakmem_cmd ${HAKMEM_MAN_DIR}/hakmem.7.in ${HAKMEM_PACKAGING_DIR}/fill-man.cmake
    VERBATIM)
add_custom_target(hakmem_man ALL DEPENDS ${PROJECT_BINARY_DIR}/hakmem.7)
foreach(section 1 3)
    install(FILES ${HAKMEM_MAN_DIR}/hakmem.${section}
        DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} COMPONENT runtime)
endforeach()
install(FILES ${PROJECT_BINARY_DIR}/hakmem.7
    DESTINATION ${CMAKE_INSTALL_MANDIR}/man7 COMPONENT runtime)
