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
/// The value is `peak` at step W and would be `final` at step T, which is never taken. W is `warmup_steps`,
/// `warmup_epochs`, or `warmup_fraction` of the run, rounded; set one of them. A run no longer than W ends below the
/// peak, which begin() says.
/// Differs: DINO's and SwAV's code reaches the peak at step W − 1, and has it at step W as well.
///
///     schedules::WarmupCosine{.peak = 0.5, .warmup_fraction = 0.1}
struct WarmupCosine {
    double peak = 0.1;              ///< highest value
    std::int64_t warmup_steps = 0;  ///< W in optimizer steps, ≥ 0
    double warmup_epochs = 0;       ///< W in epochs, ≥ 0
    double warmup_fraction = 0;     ///< W as a share of the run, from 0 to 1
    double final = 0;               ///< value at the end of the run
    double start = 0;               ///< value at step 0

    double operator()(const TrainingStep& at) const {
        const std::int64_t rise = warmup(at.of);
        if (at.step < rise) return std::lerp(start, peak, static_cast<double>(at.step) / static_cast<double>(rise));
        return detail::half_cosine(peak, final, detail::share("WarmupCosine", at, rise));
    }

    /// Returns W for a run of that length.
    std::int64_t warmup(const Horizon& run) const {
        require(warmup_steps >= 0, "WarmupCosine: warmup_steps must not be negative, got ", warmup_steps);
        require(warmup_epochs >= 0 && std::isfinite(warmup_epochs),
                "WarmupCosine: warmup_epochs must not be negative, got ", warmup_epochs);
        require(warmup_fraction >= 0 && warmup_fraction <= 1,
                "WarmupCosine: warmup_fraction must be from 0 to 1, got ", warmup_fraction);
        require((warmup_steps > 0) + (warmup_epochs > 0) + (warmup_fraction > 0) <= 1,
                "WarmupCosine: set one of warmup_steps, warmup_epochs and warmup_fraction, got ", warmup_steps, ", ",
                warmup_epochs, " and ", warmup_fraction);
        if (warmup_epochs > 0) {
            require(run.steps_per_epoch > 0, "WarmupCosine: warmup_epochs needs the length of an epoch "
                    "(TrainingStep.of.steps_per_epoch is ", run.steps_per_epoch, "); set warmup_steps instead");
            return std::llround(warmup_epochs * static_cast<double>(run.steps_per_epoch));
        }
        if (warmup_fraction == 0) return warmup_steps;
        detail::require_length("WarmupCosine", run.steps);
        return std::llround(warmup_fraction * static_cast<double>(run.steps));
    }

    /// Returns a warning if the run ends before the peak.
    std::string begin(const Horizon& run) const {
        if (run.steps <= 0) return {};
        const std::int64_t rise = warmup(run);
        if (rise == 0 || rise < run.steps) return {};
        return detail::text("WarmupCosine: the warm-up of ", rise, " steps is not shorter than the run of ", run.steps,
                            ": the value ends at ", (*this)({.step = run.steps - 1, .of = run}), " and never reaches ",
                            peak, "; train longer or shorten the warm-up");
    }

    std::string describe() const {
        const auto rise = warmup_fraction > 0 ? detail::text(100 * warmup_fraction, " % of the run")
                          : warmup_epochs > 0 ? detail::text(warmup_epochs, warmup_epochs == 1 ? " epoch" : " epochs")
                                              : detail::text(warmup_steps, " steps");
        return detail::text("linear from ", start, " to ", peak, " over ", rise, ", then half cosine to ", final);
    }
};

static_assert(Schedule<WarmupCosine>);

}  // namespace doppel::schedules
