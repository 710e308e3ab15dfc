# SPDX-License-Identifier: Apache-2.0
# doppel_add_compiled(): makes the library doppel::compiled, the optional compiled part of doppel (trainer, whole runs, command
# line, table of methods). A target that links it compiles none of that again; doppel::doppel stays header-only.
#
#   find_package(doppel REQUIRED)                      # or add_subdirectory(doppel)
#   doppel_add_compiled()
#   target_link_libraries(mine PRIVATE doppel::compiled)
set(DOPPEL_COMPILED_SOURCES "${CMAKE_CURRENT_LIST_DIR}/compiled" CACHE INTERNAL "")
function(doppel_add_compiled)
  if(TARGET doppel_compiled)
    return()
  endif()
  set(_sources)
  foreach(_part IN ITEMS train run cli methods evaluate)
    list(APPEND _sources "${DOPPEL_COMPILED_SOURCES}/${_part}.cpp")
  endforeach()
  # No hot loops in these: they call torch. The loader's are in train.cpp.
  if(NOT MSVC)
    foreach(_part IN ITEMS run cli methods evaluate)
      set_source_files_properties("${DOPPEL_COMPILED_SOURCES}/${_part}.cpp" PROPERTIES COMPILE_OPTIONS -O1)
    endforeach()
  endif()
  add_library(doppel_compiled STATIC EXCLUDE_FROM_ALL ${_sources})
  add_library(doppel::compiled ALIAS doppel_compiled)
  target_link_libraries(doppel_compiled PUBLIC doppel::doppel)
  # Everyone sees declarations; each source adds the bodies it defines.
  target_compile_definitions(doppel_compiled PUBLIC DOPPEL_COMPILED PRIVATE DOPPEL_COMPILED_SOURCE)
  # Beside the archive, since a program that runs without CUDA's libraries leaves it out.
  if(LibTorch_CUDA_INCLUDE_DIRS)
    add_library(doppel_cuda_graph OBJECT EXCLUDE_FROM_ALL "${DOPPEL_COMPILED_SOURCES}/cuda_graph.cpp")
    target_link_libraries(doppel_cuda_graph PRIVATE doppel::doppel)
    target_include_directories(doppel_cuda_graph SYSTEM PRIVATE ${LibTorch_CUDA_INCLUDE_DIRS})
    target_sources(doppel_compiled INTERFACE $<TARGET_OBJECTS:doppel_cuda_graph>)
  endif()
endfunction()
