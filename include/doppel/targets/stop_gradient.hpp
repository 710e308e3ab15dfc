// SPDX-License-Identifier: Apache-2.0
// A target branch that is the online branch without its gradient.
#pragma once

#include <doppel/contracts/target.hpp>
#include <doppel/core/tensor.hpp>

namespace doppel::targets {

/// Same weights, but no gradient flows through the target outputs (SimSiam).
struct StopGradient {
    Tensor output(const Tensor& online) const { return online.detach(); }
};

static_assert(contracts::Target<StopGradient> && contracts::OutputTarget<StopGradient>);

}  // namespace doppel::targets
