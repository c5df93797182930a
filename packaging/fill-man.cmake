# Puts the table of settings, as the command prints it, into a manual page.
# cmake -DCOMMAND=hakmem -DINPUT=hakmem.7.in -DOUTPUT=hakmem.7 -P fill-man.cmake
execute_process(COMMAND ${COMMAND} settings --man
    OUTPUT_VARIABLE settings COMMAND_ERROR_IS_FATAL ANY)
file(READ ${INPUT} page)
string(FIND "${page}" "@SETTINGS@\n" place)
if(place EQUAL -1)
    message(FATAL_ERROR "${INPUT} has no line @SETTINGS@")
endif()
string(REPLACE "@SETTINGS@\n" "${settings}" page "${page}")
file(WRITE ${OUTPUT} "${page}")
