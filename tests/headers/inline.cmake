# SPDX-License-Identifier: Apache-2.0
# Fails when an object file in the list OBJECTS defines a symbol that a second one could not define too.
file(STRINGS "${OBJECTS}" objects)
list(FILTER objects EXCLUDE REGEX "cmake_pch")  # CMake counts it among them
execute_process(COMMAND "${NM}" -A -C --defined-only --extern-only ${objects}
                COMMAND grep -E ":[0-9a-f]+ [ABCDGRST] "
                RESULTS_VARIABLE results OUTPUT_VARIABLE strong ERROR_VARIABLE error)
# grep finds nothing: 1
if(NOT results STREQUAL "0;1")
  message(FATAL_ERROR "not inline:\n${strong}${error}")
endif()
