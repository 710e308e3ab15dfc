// SPDX-License-Identifier: Apache-2.0
// A straight line over the run.
#pragma once

#include <doppel/core/training_step.hpp>
#include <doppel/schedules/detail/share.hpp>
#include <doppel/schedules/schedule.hpp>

#include <cmath>
#include <string>

namespace doppel::schedules {

/// from + (to − from) · t/T at step t of T; `to` from step T on.
struct Linear {
    double from = 0;  ///< value at step 0
    double to = 1;    ///< value at step T

    double operator()(const TrainingStep& at) const { return std::lerp(from, to, detail::share("Linear", at)); }
    std::string describe() const { return detail::text("linear from ", from, " to ", to); }
};

static_assert(Schedule<Linear>);

}  // namespace doppel::schedules
