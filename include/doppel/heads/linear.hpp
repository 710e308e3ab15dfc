// SPDX-License-Identifier: Apache-2.0
// A linear head.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/module.hpp>
#include <doppel/contracts/head.hpp>

#include <cstdint>

namespace doppel::heads {

using contracts::Built;

/// One linear layer: [B, in] → [B, out].
///
///     .projector = heads::Linear{.out = 128}      // InstDisc, MoCo v1
struct Linear {
    std::int64_t out = 128;  ///< output width, ≥ 1
    bool bias = true;        ///< whether the layer has a bias

    Built<torch::nn::Linear> build(std::int64_t in) const {
        require(out >= 1, "Linear: out must be at least 1, got ", out);
        return {torch::nn::Linear(torch::nn::LinearOptions(in, out).bias(bias)), out};
    }
};

static_assert(contracts::HeadSpec<Linear>);

}  // namespace doppel::heads
