// SPDX-License-Identifier: Apache-2.0
// What the tests of encoders' weights share.
#pragma once

#include <doppel/core/module.hpp>

#include "support/torch_support.hpp"

#include <algorithm>
#include <map>
#include <string>

namespace doppel::test {

using Tensors = std::map<std::string, Tensor>;

/// A module's parameters and buffers by name, with running statistics that matter.
inline Tensors tensors_of(const torch::nn::Module& module) {
    const at::NoGradGuard no_grad;
    Tensors all;
    for (const auto& item : module.named_parameters()) all[item.key()] = item.value().detach();
    for (const auto& item : module.named_buffers()) {
        Tensor buffer = item.value();
        if (item.key().ends_with("running_mean")) buffer.normal_(0, 0.1);
        if (item.key().ends_with("running_var")) buffer.uniform_(0.5, 1.5);
        all[item.key()] = buffer;
    }
    return all;
}

/// The same with a prefix before each name.
inline Tensors behind(const std::string& prefix, const Tensors& tensors) {
    Tensors all;
    for (const auto& [name, tensor] : tensors) all[prefix + name] = tensor;
    return all;
}

inline bool same_tensors(const Tensors& a, const Tensors& b) {
    return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&](const auto& item) { return b.contains(item.first) && at::equal(item.second, b.at(item.first)); });
}

}  // namespace doppel::test
