// SPDX-License-Identifier: Apache-2.0
// A staircase with steps at given shares of the run.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/training_step.hpp>
#include <doppel/schedules/detail/share.hpp>
#include <doppel/schedules/schedule.hpp>

#include <cmath>
#include <string>
#include <vector>

namespace doppel::schedules {

/// A staircase: value · factor^n after n milestones (MoCo v1: at 0.6 and 0.8 of the run, factor 0.1).
struct MultiStep {
    double value = 0.1;                        ///< value at step 0
    std::vector<double> milestones{0.6, 0.8};  ///< shares of the run, 0 to 1, rounded to steps
    double factor = 0.1;                       ///< multiplies the value at each milestone

    double operator()(const TrainingStep& at) const {
        detail::require_length("MultiStep", at.of.steps);
        double result = value;
        for (const double share : milestones) {
            require(share >= 0 && share <= 1, "MultiStep: milestones must be shares of the run from 0 to 1, got ",
                    share);
            if (at.step >= std::llround(share * static_cast<double>(at.of.steps))) result *= factor;
        }
        return result;
    }

    std::string describe() const {
        auto text = detail::text(value, " times ", factor, " at");
        for (const double share : milestones) text += detail::text(' ', 100 * share, " %");
        return text;
    }
};

static_assert(Schedule<MultiStep>);

}  // namespace doppel::schedules
