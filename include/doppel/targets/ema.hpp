// SPDX-License-Identifier: Apache-2.0
// A target network whose weights are a moving average of the online network's.
#pragma once

#include <doppel/contracts/target.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/core/training_step.hpp>
#include <doppel/device/ema.hpp>
#include <doppel/schedules/schedule.hpp>

#include <cstdint>
#include <vector>

namespace doppel::targets {

/// When an Ema is updated: before_forward (MoCo) or after_step (BYOL, DINO).
using EmaTiming = contracts::UpdateTiming;

/// A second network whose encoder and projector (never the predictor) average the online weights:
///
///     ξ ← m ξ + (1 − m) θ        parameters only; buffers keep their own batch statistics
///
/// m is `schedule(step)`. The copy is float32, gets no gradient and stays in training mode.
/// Throws Error for an m outside 0 to 1.
/// Source: He et al., "Momentum Contrast", 2019, arXiv:1911.05722, equation 2.
///
///     .target = targets::Ema{.schedule = 0.99, .timing = targets::EmaTiming::before_forward}
///     .target = targets::Ema{.schedule = schedules::Cosine{.from = 0.996, .to = 1}}
struct Ema {
    schedules::AnySchedule schedule{0.996};     ///< m, between 0 (copy) and 1 (frozen): a number or a schedule
    EmaTiming timing = EmaTiming::after_step;

    void begin(const Horizon& horizon) const {
        for (const std::int64_t step : {std::int64_t{0}, horizon.steps / 2, horizon.steps}) rate({.step = step, .of = horizon});
    }

    void update(const std::vector<Tensor>& target, const std::vector<Tensor>& online, const TrainingStep& at) const {
        device::ema(target, online, rate(at));
    }

    /// The same on a device, where the step left no trace in the online network if `bad` [] is 1, and must leave none here.
    void update(const std::vector<Tensor>& target, const std::vector<Tensor>& online, const TrainingStep& at, const Tensor& bad) const {
        device::ema(target, online, rate(at), bad);
    }

private:
    double rate(const TrainingStep& at) const {
        const double m = schedule(at);
        require(m >= 0 && m <= 1, "Ema: m must lie between 0 and 1, the schedule gives ", m, " at step ", at.step);
        return m;
    }
};

static_assert(contracts::Target<Ema> && contracts::TimedTarget<Ema> && contracts::Begins<const Ema>);

}  // namespace doppel::targets
