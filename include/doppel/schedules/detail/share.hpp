// SPDX-License-Identifier: Apache-2.0
// Helpers of the shipped schedules.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/training_step.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <sstream>
#include <string>

namespace doppel::schedules::detail {

inline void require_length(const char* who, std::int64_t steps) {
    require(steps > 0, who, ": the length of the run is unknown (TrainingStep.of.steps is ", steps, ")");
}

/// Returns the completed share of the steps after `from`, in [0, 1].
inline double share(const char* who, const TrainingStep& at, std::int64_t from = 0) {
    require_length(who, at.of.steps);
    if (at.step >= at.of.steps) return 1;
    return static_cast<double>(std::max(at.step - from, std::int64_t{0})) / static_cast<double>(at.of.steps - from);
}

/// Half a cosine from exactly `from` (share 0) to exactly `to` (share 1).
inline double half_cosine(double from, double to, double share) {
    return std::lerp(from, to, (1 - std::cos(std::numbers::pi * share)) / 2);
}

template <class... Parts>
std::string text(const Parts&... parts) {
    std::ostringstream out;
    (out << ... << parts);
    return out.str();
}

}  // namespace doppel::schedules::detail
