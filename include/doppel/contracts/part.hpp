// SPDX-License-Identifier: Apache-2.0
// Optional members that losses, queues and targets share. Whatever asks for one asks by these names.
#pragma once

#include <doppel/core/batch.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/core/training_step.hpp>
#include <doppel/device/select.hpp>

#include <concepts>
#include <string>
#include <vector>

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

/// commit(outputs, bad) does the same on a device, where `bad` [] is 1 if the step was not taken: then it leaves no trace, and
/// the host need not know. Of parts without it all state is kept and put back.
template <class P>
concept CommitsOnDevice = requires(P& part, const Outputs& outputs, const Tensor& bad) { part.commit(outputs, bad); };

/// commit() of a part on a device; where `bad` [] is 1, without a trace. `bad` undefined: the step was taken.
template <Commits P>
void commit(P& part, const Outputs& outputs, const Tensor& bad) {
    if (!bad.defined()) {
        part.commit(outputs);
    } else if constexpr (CommitsOnDevice<P>) {
        part.commit(outputs, bad);
    } else {
        std::vector<Tensor> now, before;
        if constexpr (HasState<P>)
            part.state([&](const char*, Tensor& value) {
                now.push_back(value);
                before.push_back(value.detach().clone());
            });
        part.commit(outputs);
        device::restore_if(bad, now, before);
    }
}

/// join(group) is called before each forward pass and each commit on several processes, with the number of images that each of
/// them has. The part then gets the outputs of its own process alone, and asks the group for what it needs of the others
/// (core/collectives.hpp): a loss gives the mean over its own images, and the mean over processes, weighted by images, is the
/// loss of the whole batch; state must come out the same everywhere.
/// A part without it is given the outputs of all processes as one batch, which is right for every part.
template <class P>
concept Joins = requires(P& part, const Group& group) { part.join(group); };

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
