// SPDX-License-Identifier: Apache-2.0
// The joint norm of all gradients, and the parameters that have none.
#pragma once

#include <doppel/core/tensor.hpp>
#include <doppel/optim/groups.hpp>

#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <string>
#include <vector>

namespace doppel::optim {

/// Returns the joint L2 norm of the gradients of all groups, [] on their device; 0 without gradients. Changes nothing. No device
/// sync.
///
///     loss.backward(); const Tensor norm = optim::gradient_norm(optimizer.groups());
inline Tensor gradient_norm(const Groups& groups) {
    const at::NoGradGuard no_grad;
    std::vector<Tensor> gradients;
    for (const auto& group : groups)
        for (const auto& [name, parameter] : group.parameters)
            if (parameter.grad().defined()) gradients.push_back(parameter.grad());
    return gradients.empty() ? at::zeros({}) : at::stack(at::_foreach_norm(gradients)).norm();
}

/// Returns the names of the groups' parameters without a gradient: after the backward pass, those that the loss does not reach.
inline std::vector<std::string> without_gradient(const Groups& groups) {
    std::vector<std::string> names;
    for (const auto& group : groups)
        for (const auto& [name, parameter] : group.parameters)
            if (!parameter.grad().defined()) names.push_back(name);
    return names;
}

}  // namespace doppel::optim
