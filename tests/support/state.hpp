// SPDX-License-Identifier: Apache-2.0
// The state of a method, an optimizer, a queue or a loss, by name.
#pragma once

#include <doppel/core/module.hpp>

#include <map>
#include <string>

namespace doppel::test {

using State = std::map<std::string, Tensor>;

/// Parameters and buffers; they share their memory with the method.
template <class M>
    requires requires(const M& method) { method.module(); }
State state_of(const M& method) {
    State all;
    for (const auto& item : method.module().named_parameters()) all[item.key()] = item.value().detach();
    for (const auto& item : method.module().named_buffers()) all[item.key()] = item.value();
    return all;
}

/// What a part visits as its state.
template <class Part>
    requires requires(Part& part) { part.state([](const auto&, Tensor&) {}); }
State state_of(Part& part) {
    State all;
    part.state([&](const auto& name, Tensor& tensor) { all[name] = tensor; });
    return all;
}

/// The state as it is now.
template <class M>
State copy_of(const M& method) {
    State all = state_of(method);
    for (auto& [name, value] : all) value = value.clone();
    return all;
}

}  // namespace doppel::test
