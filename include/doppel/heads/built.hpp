// SPDX-License-Identifier: Apache-2.0
// The result of building a head.
#pragma once

#include <cstdint>

namespace doppel::heads {

/// A head's module with its output width: the result of `build(in)` of a head spec.
template <class Module>
struct Built {
    Module module;
    std::int64_t out = 0;
};

}  // namespace doppel::heads
