# SPDX-License-Identifier: Apache-2.0
# How this project compiles its own tests, examples and benchmarks: warnings, ccache, a fast linker, one
# precompiled header. Nothing here reaches a user's target.
add_library(doppel_warnings INTERFACE)
target_compile_options(doppel_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
                                                 $<$<BOOL:${DOPPEL_WARNINGS_AS_ERRORS}>:-Werror>)
target_compile_features(doppel_warnings INTERFACE cxx_std_20)
if(DOPPEL_SANITIZE)  # the preset of ./run sanitize address
  target_compile_options(doppel_warnings INTERFACE -fsanitize=${DOPPEL_SANITIZE} -fno-omit-frame-pointer
                                                   -fno-sanitize-recover=undefined)
  target_link_options(doppel_warnings INTERFACE -fsanitize=${DOPPEL_SANITIZE})
endif()
add_library(doppel_developer INTERFACE)
target_link_libraries(doppel_developer INTERFACE doppel::doppel doppel_warnings)
target_compile_options(doppel_developer INTERFACE -fpch-preprocess)

# The folders without torch (core, options, io but safetensors, image, augment, views, readers): quick to compile and to start.
add_library(doppel_pixels INTERFACE)
target_link_libraries(doppel_pixels INTERFACE doppel_warnings Threads::Threads)
target_include_directories(doppel_pixels INTERFACE "${PROJECT_SOURCE_DIR}/include")
doppel_link_pixels(doppel_pixels)

# ccache finds in one clone what another one compiled: paths below the source folder count as relative, and neither the
# folder that is compiled in nor the time of a header counts.
if(NOT CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(DOPPEL_CCACHE ccache)
  if(DOPPEL_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER
        "${CMAKE_COMMAND};-E;env;CCACHE_BASEDIR=${PROJECT_SOURCE_DIR};CCACHE_NOHASHDIR=1"
        "CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime;${DOPPEL_CCACHE}")
  endif()
endif()
find_program(DOPPEL_MOLD mold)
if(DOPPEL_MOLD)
  target_link_options(doppel_developer INTERFACE -fuse-ld=mold)
endif()

# No more compilers at once than memory holds: a translation unit that includes torch takes up to 1.5 GB.
cmake_host_system_information(RESULT _memory QUERY TOTAL_PHYSICAL_MEMORY)
cmake_host_system_information(RESULT _cores QUERY NUMBER_OF_LOGICAL_CORES)
math(EXPR _jobs "${_memory} / 1500")
if(_jobs GREATER _cores)
  set(_jobs ${_cores})
endif()
if(_jobs LESS 1)
  set(_jobs 1)
endif()
set_property(GLOBAL APPEND PROPERTY JOB_POOLS "compile=${_jobs}")
set(CMAKE_JOB_POOL_COMPILE compile)

# The compiled part, for programs that train; what does not need it must not wait for it.
doppel_add_compiled()
target_link_libraries(doppel_compiled PRIVATE doppel_developer)

# doppel_program(name SOURCES ...): an executable of this project, at the build type's optimization.
function(doppel_program name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE doppel_developer)
endfunction()

# Tests, lessons and other short programs compile at -O0, a third faster than at -O1 (their work is in torch), and share one precompiled header, which pays off from the second
# program on. It holds torch's modules as far as doppel uses them, so that a file gets no more than it would include.
add_library(doppel_quick INTERFACE)
target_link_libraries(doppel_quick INTERFACE doppel_developer)
target_compile_options(doppel_quick INTERFACE $<$<CONFIG:Release>:-O0>)
file(CONFIGURE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/doppel_pch.cpp" CONTENT "// Carries the precompiled header.\n")
add_library(doppel_pch OBJECT EXCLUDE_FROM_ALL "${CMAKE_CURRENT_BINARY_DIR}/doppel_pch.cpp")
target_link_libraries(doppel_pch PRIVATE doppel_quick)
target_precompile_headers(doppel_pch PRIVATE <doppel/core/module.hpp> <nlohmann/json.hpp> <fmt/format.h>)
if(DOPPEL_BUILD_TESTS)  # Catch2, after torch
  target_include_directories(doppel_pch PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  target_precompile_headers(doppel_pch PRIVATE <support/support.hpp>)
endif()
function(doppel_quick_program name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE doppel_quick)
  target_precompile_headers(${name} REUSE_FROM doppel_pch)
endfunction()

# Flags for a program outside CMake: ./run flags.
set(_includes "-I${PROJECT_SOURCE_DIR}/include")
get_target_property(_torch_includes LibTorch::LibTorch INTERFACE_SYSTEM_INCLUDE_DIRECTORIES)
get_target_property(_torch_libraries LibTorch::LibTorch INTERFACE_LINK_LIBRARIES)
get_target_property(_torch_options LibTorch::LibTorch INTERFACE_LINK_OPTIONS)
get_target_property(_definitions doppel INTERFACE_COMPILE_DEFINITIONS)
get_target_property(_eigen_includes Eigen3::Eigen INTERFACE_INCLUDE_DIRECTORIES)
set(_cxx "-std=c++20 -O2 -pthread ${_includes}")
foreach(_folder IN LISTS _torch_includes _eigen_includes)
  string(APPEND _cxx " -isystem ${_folder}")
endforeach()
string(APPEND _cxx " -DFMT_HEADER_ONLY=1")
set(_ld "${_torch_options}")
list(JOIN _torch_libraries " " _torch_libraries)
string(APPEND _ld " ${_torch_libraries} -lz -pthread")
foreach(_definition IN LISTS _definitions)
  string(APPEND _cxx " -D${_definition}")
  string(REGEX MATCH "^DOPPEL_(JPEG|PNG|WEBP|GIF|TIFF)=1$" _match "${_definition}")
  if(_match)
    string(TOLOWER "${CMAKE_MATCH_1}" _library)
    string(APPEND _ld " -l${_library}")
  endif()
endforeach()
file(WRITE "${PROJECT_BINARY_DIR}/doppel-flags.txt" "CXXFLAGS=${_cxx}\nLDFLAGS=${_ld}\n")
