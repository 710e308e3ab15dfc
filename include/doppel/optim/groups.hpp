// SPDX-License-Identifier: Apache-2.0
// Parameter groups: which parameters decay, and which have a learning rate of their own.
#pragma once

#include <doppel/core/tensor.hpp>

#include <string>
#include <utility>
#include <vector>

namespace doppel::optim {

/// Parameters with their names, in the order of the network.
using NamedParameters = std::vector<std::pair<std::string, Tensor>>;

/// Parameters that are trained alike.
struct Group {
    NamedParameters parameters;
    double weight_decay = 0;  ///< ≥ 0
    double lr_scale = 1;      ///< multiplies the step's learning rate, ≥ 0
};

using Groups = std::vector<Group>;

/// True for the parameters that usually do not decay: biases, and the scales and offsets of normalisation layers.
/// The rule is the shape: at most one dimension.
inline bool is_norm_or_bias(const Tensor& parameter) { return parameter.dim() <= 1; }

/// Two groups: one with `weight_decay`, and one of norm and bias parameters without. An empty group is left out.
///
///     auto groups = optim::split_by_decay(method.trainable(), 1e-4);
inline Groups split_by_decay(const NamedParameters& parameters, double weight_decay) {
    Group decayed{.parameters = {}, .weight_decay = weight_decay}, plain{};
    for (const auto& item : parameters)
        (is_norm_or_bias(item.second) ? plain : decayed).parameters.push_back(item);
    Groups groups;
    for (auto* group : {&decayed, &plain})
        if (!group->parameters.empty()) groups.push_back(std::move(*group));
    return groups;
}

}  // namespace doppel::optim
