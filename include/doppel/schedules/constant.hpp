// SPDX-License-Identifier: Apache-2.0
// A constant value.
#pragma once

#include <doppel/core/training_step.hpp>
#include <doppel/schedules/detail/share.hpp>
#include <doppel/schedules/schedule.hpp>

#include <string>

namespace doppel::schedules {

/// A schedule with the same value at every step.
struct Constant {
    double value = 0;

    double operator()(const TrainingStep&) const { return value; }
    std::string describe() const { return detail::text("constant ", value); }
};

/// Returns Constant{value}: `.schedule = schedules::constant(0.99)`.
constexpr Constant constant(double value) { return {value}; }

static_assert(Schedule<Constant>);

}  // namespace doppel::schedules
