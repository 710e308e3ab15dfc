// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace doppel {

/// The version of doppel, as in CMakeLists.txt.
inline constexpr const char* version = "0.1.0";

}  // namespace doppel
