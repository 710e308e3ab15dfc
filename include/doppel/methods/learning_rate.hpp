// SPDX-License-Identifier: Apache-2.0
// The learning rate of a preset: a rule that follows the batch size that is really used.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/schedules/schedules.hpp>

#include <concepts>
#include <cstdint>
#include <functional>
#include <utility>

namespace doppel {

/// Images per optimizer step → schedule.
///
///     preset.lr = 0.1;                                        // constant
///     preset.lr = schedules::WarmupCosine{.peak = 0.5};       // the same for every batch size
///     preset.lr = [](std::int64_t images) { return schedules::WarmupCosine{.peak = 0.2 * images / 256.}; };
class LearningRate {
public:
    /// Not set: training throws.
    LearningRate() = default;
    LearningRate(double constant) : LearningRate(schedules::Constant{constant}) {}  // NOLINT: implicit by intent
    template <schedules::Schedule S>
        requires(!std::same_as<S, LearningRate>)
    LearningRate(S schedule)  // NOLINT: implicit by intent
        : rule_([any = schedules::AnySchedule(std::move(schedule))](std::int64_t) { return any; }) {}
    template <class F>
        requires requires(const F& f, std::int64_t images) { { f(images) } -> schedules::Schedule; }
    LearningRate(F rule)  // NOLINT: implicit by intent
        : rule_([rule = std::move(rule)](std::int64_t images) { return schedules::AnySchedule(rule(images)); }) {}

    bool is_set() const { return rule_ != nullptr; }

    /// The schedule for steps of so many images. Throws Error where no learning rate was set.
    schedules::AnySchedule at(std::int64_t images_per_step) const {
        require(is_set(), "the preset has no learning rate; set preset.lr to a number or a schedule, as "
                          "schedules::WarmupCosine{.peak = 0.1, .warmup_fraction = 0.1}");
        return rule_(images_per_step);
    }

private:
    std::function<schedules::AnySchedule(std::int64_t)> rule_{};
};

}  // namespace doppel
