# SPDX-License-Identifier: Apache-2.0
# Install rules: headers and a package that finds the dependencies again where it is used.
include(CMakePackageConfigHelpers)
install(DIRECTORY include/doppel DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
set(_package_folder "${CMAKE_INSTALL_LIBDIR}/cmake/doppel")
# From the package's folder to the headers, in a prefix that may be moved (lib/x86_64-linux-gnu is deeper than lib).
file(RELATIVE_PATH _to_headers "${CMAKE_INSTALL_FULL_LIBDIR}/cmake/doppel" "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
# The dependencies are linked by doppelConfig.cmake in the user's project, so that no path of this machine is exported.
file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/doppelConfig.cmake"
"list(PREPEND CMAKE_MODULE_PATH \"\${CMAKE_CURRENT_LIST_DIR}\")
include(\"\${CMAKE_CURRENT_LIST_DIR}/DoppelDependencies.cmake\")
list(REMOVE_AT CMAKE_MODULE_PATH 0)
include(\"\${CMAKE_CURRENT_LIST_DIR}/DoppelPrecompile.cmake\")
include(\"\${CMAKE_CURRENT_LIST_DIR}/DoppelCompiled.cmake\")
if(NOT TARGET doppel::doppel)
  add_library(doppel::doppel INTERFACE IMPORTED)
  target_compile_features(doppel::doppel INTERFACE cxx_std_20)
  get_filename_component(_doppel_include \"\${CMAKE_CURRENT_LIST_DIR}/${_to_headers}\" ABSOLUTE)
  target_include_directories(doppel::doppel INTERFACE \"\${_doppel_include}\")
  doppel_link_dependencies(doppel::doppel)
endif()
")
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/doppelConfigVersion.cmake"
                                 COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/doppelConfig.cmake" "${CMAKE_CURRENT_BINARY_DIR}/doppelConfigVersion.cmake"
              cmake/FindLibTorch.cmake cmake/DoppelDependencies.cmake
              cmake/DoppelPrecompile.cmake cmake/DoppelCompiled.cmake DESTINATION "${_package_folder}")
install(DIRECTORY cmake/compiled DESTINATION "${_package_folder}")
