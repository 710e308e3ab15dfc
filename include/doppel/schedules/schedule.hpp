// SPDX-License-Identifier: Apache-2.0
// The concept of a schedule, and its type-erased form.
#pragma once

#include <doppel/core/training_step.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

namespace doppel::schedules {

/// A stateless function of the optimizer step, so checkpoints need not store it. Lambdas are schedules:
///
///     [](const TrainingStep& at) { return at.step < 100 ? 0.0 : 0.1; }
///
/// Optional members: describe(), and begin(horizon), which returns a warning about a run of that length or "".
template <class S>
concept Schedule = requires(const S& schedule, const TrainingStep& at) {
    { schedule(at) } -> std::convertible_to<double>;
};

/// Type-erased schedule; a number is a constant schedule. Copies share the immutable schedule.
///
///     schedules::AnySchedule lr = schedules::WarmupCosine{.peak = 0.5, .warmup_steps = 100};
///     log(lr.describe(), lr({.step = 7, .of = {.steps = 1000}}));
class AnySchedule {
public:
    /// The constant 0.
    AnySchedule() : AnySchedule(0.0) {}
    AnySchedule(double value) : AnySchedule(Fixed{value}) {}  // NOLINT: implicit by intent

    template <class S>
        requires(!std::same_as<S, AnySchedule> && Schedule<S>)
    AnySchedule(S schedule)  // NOLINT: implicit by intent
        : self_(std::make_shared<const Model<S>>(std::move(schedule))) {}

    double operator()(const TrainingStep& at) const { return self_->value(at); }

    /// Returns one line for logs and config.json; "custom" if the schedule has no describe().
    std::string describe() const { return self_->describe(); }

    /// Returns a warning about a run of that length, else "".
    std::string begin(const Horizon& run) const { return self_->begin(run); }

private:
    struct Fixed {
        double value = 0;
        double operator()(const TrainingStep&) const { return value; }
        std::string describe() const {
            std::ostringstream text;
            text << "constant " << value;
            return text.str();
        }
    };
    struct Interface {
        virtual ~Interface() = default;
        virtual double value(const TrainingStep&) const = 0;
        virtual std::string describe() const = 0;
        virtual std::string begin(const Horizon&) const = 0;
    };
    template <class S>
    struct Model final : Interface {
        explicit Model(S s) : schedule(std::move(s)) {}
        double value(const TrainingStep& at) const override { return schedule(at); }
        std::string describe() const override {
            if constexpr (requires { { schedule.describe() } -> std::convertible_to<std::string>; })
                return schedule.describe();
            else
                return "custom";
        }
        std::string begin(const Horizon& run) const override {
            if constexpr (requires { { schedule.begin(run) } -> std::convertible_to<std::string>; })
                return schedule.begin(run);
            else
                return {};
        }
        S schedule;
    };
    std::shared_ptr<const Interface> self_;
};

static_assert(Schedule<AnySchedule>);

/// The highest value over the run's steps; each is asked, because a warm-up's peak is one step wide.
inline double peak(const AnySchedule& schedule, const Horizon& of) {
    double highest = 0;
    for (std::int64_t step = 0; step < of.steps; ++step) highest = std::max(highest, schedule({.step = step, .of = of}));
    return highest;
}

}  // namespace doppel::schedules
