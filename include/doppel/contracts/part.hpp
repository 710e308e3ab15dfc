// SPDX-License-Identifier: Apache-2.0
// Optional members that losses, queues and targets share. Whatever asks for one asks by these names.
#pragma once

#include <doppel/core/batch.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/core/training_step.hpp>

#include <concepts>
#include <string>

namespace doppel::contracts {

/// The kind of visitor that state() gets: visit(name, tensor).
struct StateVisitor {
    void operator()(const char*, Tensor&) const {}
};

/// state(visitor) names the tensors that belong to a checkpoint, each by one visit(name, tensor).
template <class P>
concept HasState = requires(P& part) { part.state(StateVisitor{}); };

/// commit(outputs) writes state after an optimizer step that was taken, once a forward pass.
template <class P>
concept Commits = requires(P& part, const Outputs& outputs) { part.commit(outputs); };

/// begin(horizon) is called before training and may throw, or give a warning as a string.
template <class P>
concept Begins = requires(P& part, const Horizon& horizon) { part.begin(horizon); };

/// Calls begin() where there is one; gives its warning, or nothing.
template <class P>
std::string begin(P& part, const Horizon& horizon) {
    if constexpr (requires { { part.begin(horizon) } -> std::convertible_to<std::string>; })
        return part.begin(horizon);
    else if constexpr (Begins<P>)
        part.begin(horizon);
    return {};
}

}  // namespace doppel::contracts
