// SPDX-License-Identifier: Apache-2.0
// The state of a method or an optimizer, by name.
#pragma once

#include <doppel/recipe/any_method.hpp>

#include "support/torch_support.hpp"

#include <map>
#include <string>

namespace doppel::test {

/// Parameters and buffers; they share their memory with the method.
inline std::map<std::string, Tensor> state_of(AnyMethod method) {
    std::map<std::string, Tensor> all;
    for (const auto& item : method.module().named_parameters()) all[item.key()] = item.value().detach();
    for (const auto& item : method.module().named_buffers()) all[item.key()] = item.value();
    return all;
}

/// The same, as it is now.
inline std::map<std::string, Tensor> copy_of(AnyMethod method) {
    auto all = state_of(method);
    for (auto& [name, value] : all) value = value.clone();
    return all;
}

/// What a part (an optimizer, a queue, a loss) visits as its state.
template <class Part>
    requires requires(Part& part) { part.state([](const std::string&, Tensor&) {}); }
std::map<std::string, Tensor> state_of(Part& part) {
    std::map<std::string, Tensor> all;
    part.state([&](const std::string& name, Tensor& tensor) { all[name] = tensor; });
    return all;
}

}  // namespace doppel::test
