// SPDX-License-Identifier: Apache-2.0
// Linear warm-up, then half a cosine.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/training_step.hpp>
#include <doppel/schedules/detail/share.hpp>
#include <doppel/schedules/schedule.hpp>

#include <cmath>
#include <cstdint>
#include <string>

namespace doppel::schedules {

/// The learning rate of most methods: linear warm-up, then half a cosine over the remaining steps.
///
///     t < W:   start + (peak − start) · t/W
///     t ≥ W:   final + (peak − final) · ½(1 + cos(π (t − W)/(T − W)))
///
/// The value is `peak` at step W and would be `final` at step T, which is never taken. W is `warmup_steps`, or
/// `warmup_fraction` of the run, rounded; set one of them. A run shorter than W ends during the warm-up.
///
///     schedules::WarmupCosine{.peak = 0.5, .warmup_fraction = 0.1}
struct WarmupCosine {
    double peak = 0.1;              ///< highest value
    std::int64_t warmup_steps = 0;  ///< W in optimizer steps, ≥ 0
    double warmup_fraction = 0;     ///< W as a share of the run, from 0 to 1
    double final = 0;               ///< value at the end of the run
    double start = 0;               ///< value at step 0

    double operator()(const TrainingStep& at) const {
        const std::int64_t rise = warmup(at.of.steps);
        if (at.step < rise) return std::lerp(start, peak, static_cast<double>(at.step) / static_cast<double>(rise));
        return detail::half_cosine(peak, final, detail::share("WarmupCosine", at, rise));
    }

    /// Returns W for a run of `steps` optimizer steps.
    std::int64_t warmup(std::int64_t steps) const {
        require(warmup_steps >= 0, "WarmupCosine: warmup_steps must not be negative, got ", warmup_steps);
        require(warmup_fraction >= 0 && warmup_fraction <= 1,
                "WarmupCosine: warmup_fraction must be from 0 to 1, got ", warmup_fraction);
        require(warmup_steps == 0 || warmup_fraction == 0,
                "WarmupCosine: set either warmup_steps or warmup_fraction, got ", warmup_steps, " and ",
                warmup_fraction);
        if (warmup_fraction == 0) return warmup_steps;
        detail::require_length("WarmupCosine", steps);
        return std::llround(warmup_fraction * static_cast<double>(steps));
    }

    std::string describe() const {
        const auto rise = warmup_fraction > 0 ? detail::text(100 * warmup_fraction, " % of the run")
                                              : detail::text(warmup_steps, " steps");
        return detail::text("linear from ", start, " to ", peak, " over ", rise, ", then half cosine to ", final);
    }
};

static_assert(Schedule<WarmupCosine>);

}  // namespace doppel::schedules
