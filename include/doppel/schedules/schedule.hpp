// SPDX-License-Identifier: Apache-2.0
// The concept of a schedule, and one type for all of them.
#pragma once

#include <doppel/core/training_step.hpp>

#include <concepts>
#include <memory>
#include <string>
#include <utility>

namespace doppel::schedules {

/// A value for each optimizer step. It has no state, so a resumed run needs nothing of it; a lambda will do:
///
///     [](const Progress& at) { return at.step < 100 ? 0.0 : 0.1; }
template <class S>
concept Schedule = requires(const S& schedule, const Progress& at) {
    { schedule(at) } -> std::convertible_to<double>;
};

/// Any schedule behind one type, for options; copies share the schedule, which cannot change.
///
///     schedules::AnySchedule lr = schedules::WarmupCosine{.peak = 0.5, .warmup_steps = 100};
///     log(lr.describe(), lr({.step = 7, .of = {.steps = 1000}}));
class AnySchedule {
public:
    /// The constant 0.
    AnySchedule() : AnySchedule(Zero{}) {}

    template <class S>
        requires(!std::same_as<S, AnySchedule> && Schedule<S>)
    AnySchedule(S schedule) : self_(std::make_shared<const Model<S>>(std::move(schedule))) {}  // NOLINT: implicit by intent

    double operator()(const Progress& at) const { return self_->value(at); }

    /// One line for logs and config.json; "custom" for a schedule that does not describe itself.
    std::string describe() const { return self_->describe(); }

private:
    struct Zero {
        double operator()(const Progress&) const { return 0; }
        std::string describe() const { return "constant 0"; }
    };
    struct Interface {
        virtual ~Interface() = default;
        virtual double value(const Progress&) const = 0;
        virtual std::string describe() const = 0;
    };
    template <class S>
    struct Model final : Interface {
        explicit Model(S s) : schedule(std::move(s)) {}
        double value(const Progress& at) const override { return schedule(at); }
        std::string describe() const override {
            if constexpr (requires { { schedule.describe() } -> std::convertible_to<std::string>; })
                return schedule.describe();
            else
                return "custom";
        }
        S schedule;
    };
    std::shared_ptr<const Interface> self_;
};

static_assert(Schedule<AnySchedule>);

}  // namespace doppel::schedules
