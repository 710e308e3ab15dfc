// SPDX-License-Identifier: Apache-2.0
// How a method is built.
#pragma once

#include <cstdint>

namespace doppel {

/// How Method builds.
struct BuildOptions {
    std::uint64_t seed = 0;  ///< seed of all initial weights and memories; torch's own generators are left as they were
};

}  // namespace doppel
