# SPDX-License-Identifier: Apache-2.0
# Finds LibTorch in a torch folder (a LibTorch download, or site-packages/torch) and makes one imported
# target, LibTorch::LibTorch, and one without CUDA's part, LibTorch::Cpu. Torch's own package file is not used: it wants nvcc and a CUDA toolkit,
# which plain C++ needs neither to compile nor to link, and writes absolute paths into exports.
#
# Looked for, in this order:
#   1. DOPPEL_TORCH (CMake or environment variable), LIBTORCH (environment)
#   2. Torch_DIR, CMAKE_PREFIX_PATH
#   3. the active Python's torch (found without importing it)
#
# Sets LibTorch_FOUND, LibTorch_ROOT_DIR, LibTorch_VERSION, LibTorch_CUDA (TRUE when built with CUDA), and
# LibTorch_CUDA_INCLUDE_DIRS, the headers of CUDA's runtime, which only device/cuda_graph.hpp needs: beside the wheel's
# libraries, in a toolkit, or in DOPPEL_CUDA_INCLUDE. The wheel's lack the folder crt/, which the package nvidia-cuda-crt brings.

set(_doppel_torch_hints)
foreach(_value IN ITEMS "${DOPPEL_TORCH}" "$ENV{DOPPEL_TORCH}" "$ENV{LIBTORCH}")
  if(_value)
    if(NOT EXISTS "${_value}/include/torch/csrc/api/include/torch/torch.h")
      message(FATAL_ERROR "LibTorch: ${_value} is not a torch folder "
                          "(include/torch/csrc/api/include/torch/torch.h is not in it)")
    endif()
    list(APPEND _doppel_torch_hints "${_value}")
  endif()
endforeach()
if(NOT _doppel_torch_hints AND Torch_DIR)
  get_filename_component(_value "${Torch_DIR}/../../.." ABSOLUTE)
  list(APPEND _doppel_torch_hints "${_value}")
endif()

# Another folder than last time: what was found there must not stick.
if(_doppel_torch_hints AND NOT "${_doppel_torch_hints}" STREQUAL "${LibTorch_HINTS}")
  unset(LibTorch_ROOT_DIR CACHE)
  foreach(_name IN ITEMS torch torch_cpu c10 torch_cuda c10_cuda)
    unset(LibTorch_${_name}_LIBRARY CACHE)
  endforeach()
  set(LibTorch_HINTS "${_doppel_torch_hints}" CACHE INTERNAL "The folder that LibTorch was asked for in")
endif()

find_path(LibTorch_ROOT_DIR include/torch/csrc/api/include/torch/torch.h
          HINTS ${_doppel_torch_hints} NO_DEFAULT_PATH)
find_path(LibTorch_ROOT_DIR include/torch/csrc/api/include/torch/torch.h PATH_SUFFIXES torch libtorch)
if(NOT LibTorch_ROOT_DIR)
  find_package(Python3 QUIET COMPONENTS Interpreter)
  if(Python3_EXECUTABLE)
    execute_process(
      COMMAND "${Python3_EXECUTABLE}" -c
              "import importlib.util as u; s = u.find_spec('torch'); print(list(s.submodule_search_locations)[0] if s else '')"
      OUTPUT_VARIABLE _value OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    find_path(LibTorch_ROOT_DIR include/torch/csrc/api/include/torch/torch.h HINTS "${_value}" NO_DEFAULT_PATH)
  endif()
endif()
mark_as_advanced(LibTorch_ROOT_DIR)

set(LibTorch_VERSION "")
if(LibTorch_ROOT_DIR)
  if(EXISTS "${LibTorch_ROOT_DIR}/include/torch/headeronly/version.h")
    set(_header "${LibTorch_ROOT_DIR}/include/torch/headeronly/version.h")
  else()
    set(_header "${LibTorch_ROOT_DIR}/include/torch/csrc/api/include/torch/version.h")
  endif()
  file(STRINGS "${_header}" _lines REGEX "#define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
  foreach(_line IN LISTS _lines)
    if(_line MATCHES "TORCH_VERSION_(MAJOR|MINOR|PATCH) ([0-9]+)")
      list(APPEND LibTorch_VERSION "${CMAKE_MATCH_2}")
    endif()
  endforeach()
  list(JOIN LibTorch_VERSION "." LibTorch_VERSION)
endif()

foreach(_name IN ITEMS torch torch_cpu c10 torch_cuda c10_cuda)
  find_library(LibTorch_${_name}_LIBRARY ${_name} HINTS "${LibTorch_ROOT_DIR}/lib" NO_DEFAULT_PATH)
  mark_as_advanced(LibTorch_${_name}_LIBRARY)
endforeach()
set(LibTorch_CUDA FALSE)
if(LibTorch_torch_cuda_LIBRARY)
  set(LibTorch_CUDA TRUE)
endif()

set(LibTorch_CUDA_INCLUDE_DIRS)
if(LibTorch_CUDA)
  file(GLOB _hints "${LibTorch_ROOT_DIR}/../nvidia/*/include")
  list(APPEND _hints ${DOPPEL_CUDA_INCLUDE} "$ENV{DOPPEL_CUDA_INCLUDE}" "$ENV{CUDA_HOME}/include" /usr/local/cuda/include)
  find_path(LibTorch_CUDA_RUNTIME_INCLUDE cuda_runtime_api.h HINTS ${_hints} NO_DEFAULT_PATH)
  find_path(LibTorch_CUDA_CRT_INCLUDE crt/host_config.h HINTS ${_hints} NO_DEFAULT_PATH)
  find_path(LibTorch_NCCL_INCLUDE nccl.h HINTS ${_hints} NO_DEFAULT_PATH)
  find_path(LibTorch_NCCL_INCLUDE nccl.h)
  mark_as_advanced(LibTorch_CUDA_RUNTIME_INCLUDE LibTorch_CUDA_CRT_INCLUDE LibTorch_NCCL_INCLUDE)
  if(LibTorch_CUDA_RUNTIME_INCLUDE AND LibTorch_CUDA_CRT_INCLUDE)
    set(LibTorch_CUDA_INCLUDE_DIRS "${LibTorch_CUDA_RUNTIME_INCLUDE}" "${LibTorch_CUDA_CRT_INCLUDE}")
    list(REMOVE_DUPLICATES LibTorch_CUDA_INCLUDE_DIRS)
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  LibTorch
  REQUIRED_VARS LibTorch_ROOT_DIR LibTorch_torch_LIBRARY LibTorch_torch_cpu_LIBRARY LibTorch_c10_LIBRARY
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "give its folder with -DDOPPEL_TORCH=..., or let ./run build install it")

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
  # The wheel's libtorch.so exports parts of std::filesystem (one of them crashes: remove_all), so libstdc++ itself must
  # come before it. The CUDA libraries register themselves when they are loaded, so the linker must not drop them.
  set(_first "-Wl,--no-as-needed")
  if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    list(APPEND _first "-lstdc++")
  endif()
  set(_cuda)
  if(LibTorch_CUDA)
    set(_cuda "${LibTorch_torch_cuda_LIBRARY}" "${LibTorch_c10_cuda_LIBRARY}")
  endif()
  set(_cpu "${LibTorch_torch_cpu_LIBRARY}" "${LibTorch_c10_LIBRARY}" "-Wl,--as-needed")
  foreach(_name IN ITEMS LibTorch Cpu)
    add_library(LibTorch::${_name} INTERFACE IMPORTED)
    target_include_directories(LibTorch::${_name} SYSTEM INTERFACE "${LibTorch_ROOT_DIR}/include"
                                                                   "${LibTorch_ROOT_DIR}/include/torch/csrc/api/include")
    target_link_options(LibTorch::${_name} INTERFACE "-Wl,-rpath,${LibTorch_ROOT_DIR}/lib")
  endforeach()
  target_link_libraries(LibTorch::LibTorch INTERFACE ${_first} ${_cuda} "${LibTorch_torch_LIBRARY}" ${_cpu})
  target_link_libraries(LibTorch::Cpu INTERFACE ${_first} ${_cpu})
endif()
