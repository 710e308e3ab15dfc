// SPDX-License-Identifier: Apache-2.0
// A target branch that is the online branch.
#pragma once

#include <doppel/contracts/target.hpp>
#include <doppel/core/tensor.hpp>

namespace doppel::targets {

/// The target branch is the online branch: same weights, gradients flow through both (SimCLR, Barlow Twins).
struct Shared {
    Tensor output(const Tensor& online) const { return online; }
};

static_assert(contracts::Target<Shared> && contracts::OutputTarget<Shared>);

}  // namespace doppel::targets
