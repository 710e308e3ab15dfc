// SPDX-License-Identifier: Apache-2.0
// What `build(in)` of a head returns.
#pragma once

#include <cstdint>

namespace doppel::heads {

/// A head that a spec has built, with the width of what it gives.
template <class Module>
struct Built {
    Module module;
    std::int64_t out = 0;
};

}  // namespace doppel::heads
