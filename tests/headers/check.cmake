# SPDX-License-Identifier: Apache-2.0
# Parses a source that includes HEADER twice. An #error at its end stops the compiler before it instantiates all templates
# of torch, which takes longer than the rest; the header is right when that is the first error.
include("${CMAKE_CURRENT_LIST_DIR}/../../cmake/CompileCommand.cmake")
doppel_compile_command("${COMMANDS}" "headers/${KIND}.cpp")
set(source "${STAMP}.cpp")
file(WRITE "${source}" "#include <doppel/${HEADER}>\n#include <doppel/${HEADER}>\n#error the end of <doppel/${HEADER}>\n")
list(REMOVE_ITEM command -fpch-preprocess)
execute_process(COMMAND ${command} -fsyntax-only -Wfatal-errors "${source}" WORKING_DIRECTORY "${folder}"
                RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
string(FIND "${output}" "error: #error the end of <doppel/${HEADER}>" found)
if(found EQUAL -1 OR output MATCHES "warning:")
  message(FATAL_ERROR "<doppel/${HEADER}> does not compile alone:\n${output}")
endif()
file(TOUCH "${STAMP}")
