// SPDX-License-Identifier: Apache-2.0
// Half a cosine over the run.
#pragma once

#include <doppel/core/training_step.hpp>
#include <doppel/schedules/detail/share.hpp>
#include <doppel/schedules/schedule.hpp>

#include <string>

namespace doppel::schedules {

/// to − (to − from) · ½(1 + cos(π t/T)) at step t of T; `to` from step T on.
/// EMA rate of BYOL, MoCo v3, DINO: Cosine{.from = 0.996, .to = 1}.
struct Cosine {
    double from = 0;  ///< value at step 0
    double to = 1;    ///< value at step T

    double operator()(const TrainingStep& at) const { return detail::half_cosine(from, to, detail::share("Cosine", at)); }
    std::string describe() const { return detail::text("half cosine from ", from, " to ", to); }
};

static_assert(Schedule<Cosine>);

}  // namespace doppel::schedules
