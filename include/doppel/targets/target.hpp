// SPDX-License-Identifier: Apache-2.0
// How the second branch of a method is made: the Recipe's `target` slot.
#pragma once

#include <doppel/core/tensor.hpp>
#include <doppel/schedules/constant.hpp>
#include <doppel/schedules/schedule.hpp>

#include <concepts>
#include <type_traits>

namespace doppel::targets {

/// The target branch is the online branch: same weights, gradients flow through both (SimCLR, Barlow Twins).
struct Shared {};

/// Same weights, but no gradient flows through the target outputs (SimSiam).
struct StopGradient {};

/// When an Ema target follows the online weights.
enum class EmaTiming {
    before_forward,  ///< once an optimizer step, before the target's forward pass: uses the weights of before the update (MoCo)
    after_step,       ///< after the optimizer's update (BYOL, DINO)
};

/// A second network that follows the online encoder and projector (never the predictor):
///
///     ξ ← m ξ + (1 − m) θ        parameters only; buffers keep their own batch statistics
///
/// m is `schedule(step)`. The copy is float32, gets no gradient and stays in training mode.
/// Source: He et al., "Momentum Contrast", 2019, arXiv:1911.05722, equation 2.
///
///     .target = targets::Ema{.schedule = schedules::Constant{0.99}, .timing = targets::EmaTiming::before_forward}
template <schedules::Schedule S = schedules::Constant>
struct Ema {
    S schedule{0.996};            ///< m, between 0 (copy) and 1 (frozen)
    EmaTiming timing = EmaTiming::after_step;
};

template <class T>
inline constexpr bool is_ema = false;
template <class S>
inline constexpr bool is_ema<Ema<S>> = true;

/// What the Recipe's `target` slot accepts.
template <class T>
concept Target = std::same_as<T, Shared> || std::same_as<T, StopGradient> || is_ema<T>;

}  // namespace doppel::targets
