// SPDX-License-Identifier: Apache-2.0
// Schedules: numbers that are pure functions of where the run stands.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/training_step.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <memory>
#include <numbers>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace doppel::schedules {

/// A value for each optimizer step. It has no state, so a resumed run needs nothing of it; a lambda will do:
///
///     [](const Progress& at) { return at.step < 100 ? 0.0 : 0.1; }
template <class S>
concept Schedule = requires(const S& schedule, const Progress& at) {
    { schedule(at) } -> std::convertible_to<double>;
};

namespace detail {

inline void require_length(const char* who, std::int64_t steps) {
    require(steps > 0, who, ": the length of the run is not known (Progress.of.steps is ", steps, ")");
}

/// The share of the steps after `from` that is over, in [0, 1].
inline double share(const char* who, const Progress& at, std::int64_t from = 0) {
    require_length(who, at.of.steps);
    if (at.step >= at.of.steps) return 1;
    return static_cast<double>(std::max(at.step - from, std::int64_t{0})) / static_cast<double>(at.of.steps - from);
}

/// Half a cosine from `from` (share 0) to `to` (share 1), both met exactly.
inline double half_cosine(double from, double to, double share) {
    return std::lerp(from, to, (1 - std::cos(std::numbers::pi * share)) / 2);
}

template <class... Parts>
std::string text(const Parts&... parts) {
    std::ostringstream out;
    (out << ... << parts);
    return out.str();
}

}  // namespace detail

/// The same value at every step.
struct Constant {
    double value = 0;

    double operator()(const Progress&) const { return value; }
    std::string describe() const { return detail::text("constant ", value); }
};

/// Constant{value}, as a word in a recipe: `.schedule = schedules::constant(0.99)`.
constexpr Constant constant(double value) { return {value}; }

/// from + (to − from) · t/T at step t of T; `to` from step T on.
struct Linear {
    double from = 0;  ///< value at step 0
    double to = 1;    ///< value at step T

    double operator()(const Progress& at) const { return std::lerp(from, to, detail::share("Linear", at)); }
    std::string describe() const { return detail::text("linear from ", from, " to ", to); }
};

/// to − (to − from) · ½(1 + cos(π t/T)) at step t of T; `to` from step T on.
/// EMA rate of BYOL, MoCo v3, DINO: Cosine{.from = 0.996, .to = 1}.
struct Cosine {
    double from = 0;  ///< value at step 0
    double to = 1;    ///< value at step T

    double operator()(const Progress& at) const { return detail::half_cosine(from, to, detail::share("Cosine", at)); }
    std::string describe() const { return detail::text("half cosine from ", from, " to ", to); }
};

/// The learning rate of most methods: a linear rise, then half a cosine over the remaining steps.
///
///     t < W:   start + (peak − start) · t/W
///     t ≥ W:   final + (peak − final) · ½(1 + cos(π (t − W)/(T − W)))
///
/// so the value is `peak` at step W and would be `final` at step T, which is never taken. W is `warmup_steps`, or
/// `warmup_fraction` of the run, rounded; give one of them. A run that ends before W ends in the rise.
///
///     schedules::WarmupCosine{.peak = 0.5, .warmup_fraction = 0.1}
struct WarmupCosine {
    double peak = 0.1;              ///< highest value
    std::int64_t warmup_steps = 0;  ///< W in optimizer steps, ≥ 0
    double warmup_fraction = 0;     ///< W as a share of the run, from 0 to 1
    double final = 0;               ///< value at the end of the run
    double start = 0;               ///< value at step 0

    double operator()(const Progress& at) const {
        const std::int64_t rise = warmup(at.of.steps);
        if (at.step < rise) return std::lerp(start, peak, static_cast<double>(at.step) / static_cast<double>(rise));
        return detail::half_cosine(peak, final, detail::share("WarmupCosine", at, rise));
    }

    /// W for a run of `steps` optimizer steps.
    std::int64_t warmup(std::int64_t steps) const {
        require(warmup_steps >= 0, "WarmupCosine: warmup_steps must not be negative, got ", warmup_steps);
        require(warmup_fraction >= 0 && warmup_fraction <= 1,
                "WarmupCosine: warmup_fraction must be from 0 to 1, got ", warmup_fraction);
        require(warmup_steps == 0 || warmup_fraction == 0, "WarmupCosine: give warmup_steps or warmup_fraction, got ",
                warmup_steps, " and ", warmup_fraction);
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

/// A staircase: value · factor^n once n of the milestones are reached (MoCo v1: 0.6 and 0.8 of the run, factor 0.1).
struct MultiStep {
    double value = 0.1;                         ///< value at step 0
    std::vector<double> milestones{0.6, 0.8};   ///< shares of the run, 0 to 1, rounded to whole steps
    double factor = 0.1;                        ///< what each milestone multiplies by

    double operator()(const Progress& at) const {
        detail::require_length("MultiStep", at.of.steps);
        double result = value;
        for (const double share : milestones) {
            require(share >= 0 && share <= 1, "MultiStep: milestones are shares of the run from 0 to 1, got ", share);
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

/// Any schedule behind one type, for options; a number is a constant schedule. Copies share the schedule, which cannot change.
///
///     schedules::AnySchedule lr = schedules::WarmupCosine{.peak = 0.5, .warmup_steps = 100};
///     log(lr.describe(), lr({.step = 7, .of = {.steps = 1000}}));
class AnySchedule {
public:
    AnySchedule() : AnySchedule(Constant{}) {}
    AnySchedule(double value) : AnySchedule(Constant{value}) {}  // NOLINT: implicit by intent

    template <class S>
        requires(!std::same_as<S, AnySchedule> && Schedule<S>)
    AnySchedule(S schedule) : self_(std::make_shared<const Model<S>>(std::move(schedule))) {}  // NOLINT: implicit by intent

    double operator()(const Progress& at) const { return self_->value(at); }

    /// One line for logs and config.json; "custom" for a schedule that does not describe itself.
    std::string describe() const { return self_->describe(); }

private:
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

static_assert(Schedule<Constant> && Schedule<Linear> && Schedule<Cosine> && Schedule<WarmupCosine> &&
              Schedule<MultiStep> && Schedule<AnySchedule>);

}  // namespace doppel::schedules
