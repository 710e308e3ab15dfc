// SPDX-License-Identifier: Apache-2.0
// What the Recipe's `target` slot accepts.
#pragma once

#include <doppel/contracts/part.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/core/training_step.hpp>
#include <doppel/device/select.hpp>

#include <concepts>
#include <vector>

namespace doppel::contracts {

/// When a target with a network of its own is updated.
enum class UpdateTiming {
    before_forward,  ///< once an optimizer step, before the target's forward pass: uses the weights of before the update (MoCo)
    after_step,      ///< after the optimizer's update (BYOL, DINO)
};

/// A policy without a network of its own: output(online branch's output [B, D]) → target output [B, D].
/// Satisfied by targets::Shared and StopGradient.
template <class T>
concept OutputTarget = requires(const T& target, const Tensor& online) {
    { target.output(online) } -> std::convertible_to<Tensor>;
};

/// A policy with a network of its own: a copy of encoder and projector (never of the predictor), built under the same
/// seed, without gradients, which update(target, online, at) changes in place. `target` and `online` are the parameters
/// of the two networks, in one order. The copy is in training mode only where it has batch statistics.
///
/// | member                       | required | meaning                                                        |
/// |------------------------------|----------|----------------------------------------------------------------|
/// | update(target, online, at)   | yes      | writes the target's parameters; a function of its arguments     |
/// | timing                       | no       | UpdateTiming; without it after_step                             |
/// | begin(horizon)               | no       | before training; throws, or gives a warning as a string         |
///
/// It is called without gradient, once an optimizer step that was taken. Satisfied by targets::Ema.
template <class T>
concept NetworkTarget =
    requires(T& target, const std::vector<Tensor>& parameters, const TrainingStep& at) { target.update(parameters, parameters, at); };

/// A network target that says when it is updated.
template <class T>
concept TimedTarget = NetworkTarget<T> && requires(const T& target) {
    { target.timing } -> std::convertible_to<UpdateTiming>;
};

/// Exactly one of the two kinds.
template <class T>
concept Target = OutputTarget<T> != NetworkTarget<T>;

/// When a network target is updated.
template <NetworkTarget T>
UpdateTiming timing_of(const T& target) {
    if constexpr (TimedTarget<T>)
        return target.timing;
    else
        return UpdateTiming::after_step;
}

/// update() of a target; with `bad` [] on the device without a trace where that is 1.
template <NetworkTarget T>
void update(T& target, const std::vector<Tensor>& to, const std::vector<Tensor>& from, const TrainingStep& at, const Tensor& bad) {
    if (!bad.defined()) {
        target.update(to, from, at);
    } else if constexpr (requires { target.update(to, from, at, bad); }) {
        target.update(to, from, at, bad);
    } else {
        std::vector<Tensor> before;
        for (const Tensor& value : to) before.push_back(value.clone());
        target.update(to, from, at);
        device::restore_if(bad, to, before);
    }
}

}  // namespace doppel::contracts
