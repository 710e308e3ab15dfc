# SPDX-License-Identifier: Apache-2.0
# doppel_precompile(TARGET...): the targets get doppel's torch headers, JSON and fmt from one precompiled header.
#
#   find_package(doppel REQUIRED)                      # or add_subdirectory(doppel)
#   add_executable(mine main.cpp)
#   target_link_libraries(mine PRIVATE doppel::doppel)
#   doppel_precompile(mine)
#
# It is made once for a project, from the second program or source file on that saves more than it costs, and used by all
# targets that are compiled as the first of them is; a target with other flags (-O0 beside -O2, another -std) needs
# target_precompile_headers of its own: target_precompile_headers(other PRIVATE ${doppel_precompiled}).
set(doppel_precompiled <doppel/core/module.hpp> <nlohmann/json.hpp> <fmt/format.h>)
function(doppel_precompile)
  foreach(_target IN LISTS ARGN)
    get_property(_owner GLOBAL PROPERTY doppel_precompiled_by)
    if(_owner)
      target_precompile_headers(${_target} REUSE_FROM ${_owner})
    else()
      target_precompile_headers(${_target} PRIVATE <doppel/core/module.hpp> <nlohmann/json.hpp> <fmt/format.h>)
      set_property(GLOBAL PROPERTY doppel_precompiled_by ${_target})
    endif()
  endforeach()
endfunction()
