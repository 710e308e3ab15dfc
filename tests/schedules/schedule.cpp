// SPDX-License-Identifier: Apache-2.0
// Schedules against value tables worked out by hand.
#include <doppel/schedules/schedule.hpp>

#include "support/support.hpp"

namespace {

using namespace doppel;
using namespace doppel::schedules;
using doppel::test::mentions;
using doppel::test::message_of;

Progress at(std::int64_t step, std::int64_t steps) { return {.step = step, .of = {.samples = 1000, .steps = steps}}; }

struct WithoutCall {};
struct GivesText {
    std::string operator()(const Progress&) const { return {}; }
};
static_assert(Schedule<decltype([](const Progress&) { return 1; })>);
static_assert(!Schedule<WithoutCall> && !Schedule<GivesText> && !Schedule<double>);

}  // namespace

TEST_CASE("Constant is the same at every step, and needs no length of the run") {
    CHECK(constant(0.99)(at(0, 0)) == 0.99);
    CHECK(Constant{0.99}(at(1'000'000, 10)) == 0.99);
}

TEST_CASE("Linear meets both ends exactly and the line between") {
    const Linear line{.from = 0.3, .to = 0.1};
    CHECK(line(at(0, 10)) == 0.3);
    CHECK(line(at(5, 10)) == Approx(0.2).epsilon(1e-14));
    CHECK(line(at(9, 10)) == Approx(0.12).epsilon(1e-14));
    CHECK(line(at(10, 10)) == 0.1);
    CHECK(line(at(25, 10)) == 0.1);
}

TEST_CASE("Cosine meets both ends exactly, and BYOL's table between") {
    const Cosine rate{.from = 0.996, .to = 1};
    // 1 - 0.004 (1 + cos(pi t / 8)) / 2
    const double table[] = {0.996, 0.9961522409349774, 0.9965857864376269, 0.9972346331352698, 0.998,
                            0.9987653668647302, 0.9994142135623731, 0.9998477590650226, 1};
    for (int t = 0; t <= 8; ++t) CHECK(rate(at(t, 8)) == Approx(table[t]).epsilon(1e-14));
    CHECK(rate(at(0, 8)) == 0.996);
    CHECK(rate(at(8, 8)) == 1);
    CHECK(rate(at(100, 8)) == 1);
    CHECK(Cosine{.from = 0.1, .to = 0.7}(at(3, 3)) == 0.7);
    CHECK(Cosine{.from = 0.1, .to = 0.7}(at(0, 3)) == 0.1);
}

TEST_CASE("WarmupCosine rises from start to peak, then falls on half a cosine to final") {
    // W = 4 of T = 10: 0.8 t/4; 0.2 + 0.6 (1 + cos(pi (t - 4)/6)) / 2
    const double table[] = {0, 0.2, 0.4, 0.6, 0.8, 0.7598076211353316, 0.65, 0.5, 0.35, 0.2401923788646684, 0.2};
    const WarmupCosine by_steps{.peak = 0.8, .warmup_steps = 4, .final = 0.2};
    const WarmupCosine by_share{.peak = 0.8, .warmup_fraction = 0.4, .final = 0.2};
    for (int t = 0; t <= 10; ++t) {
        CHECK(by_steps(at(t, 10)) == Approx(table[t]).epsilon(1e-14));
        CHECK(by_share(at(t, 10)) == by_steps(at(t, 10)));
    }
    CHECK(by_steps(at(4, 10)) == 0.8);
    CHECK(by_steps(at(10, 10)) == 0.2);
    CHECK(by_steps(at(11, 10)) == 0.2);
    CHECK(WarmupCosine{.peak = 0.8, .warmup_steps = 4, .start = 0.4}(at(1, 10)) == Approx(0.5).epsilon(1e-14));
}

TEST_CASE("WarmupCosine without warm-up starts at the peak") {
    CHECK(WarmupCosine{.peak = 0.8}(at(0, 10)) == 0.8);
    CHECK(WarmupCosine{.peak = 0.8}(at(5, 10)) == Approx(0.4).epsilon(1e-14));
    CHECK(WarmupCosine{.peak = 0.8}(at(10, 10)) == 0);
}

TEST_CASE("WarmupCosine over a run that is no longer than its warm-up stays in the rise") {
    const WarmupCosine schedule{.peak = 1, .warmup_steps = 10};
    CHECK(schedule(at(4, 5)) == Approx(0.4).epsilon(1e-14));
    CHECK(schedule(at(9, 10)) == Approx(0.9).epsilon(1e-14));
    CHECK(schedule(at(10, 10)) == 0);
}

TEST_CASE("MultiStep multiplies once a milestone is reached") {
    const MultiStep schedule{.value = 0.5, .milestones = {0.6, 0.8}, .factor = 0.1};
    CHECK(schedule(at(119, 200)) == 0.5);
    CHECK(schedule(at(120, 200)) == Approx(0.05).epsilon(1e-14));
    CHECK(schedule(at(159, 200)) == Approx(0.05).epsilon(1e-14));
    CHECK(schedule(at(160, 200)) == Approx(0.005).epsilon(1e-14));
}

TEST_CASE("AnySchedule gives what the schedule inside gives, and copies share it") {
    const AnySchedule any = WarmupCosine{.peak = 0.8, .warmup_steps = 4, .final = 0.2};
    const AnySchedule copy = any;
    CHECK(copy(at(7, 10)) == Approx(0.5).epsilon(1e-14));
    CHECK(any.describe() == "linear from 0 to 0.8 over 4 steps, then half cosine to 0.2");
    CHECK(AnySchedule(WarmupCosine{.warmup_fraction = 0.1}).describe() ==
          "linear from 0 to 0.1 over 10 % of the run, then half cosine to 0");
    CHECK(AnySchedule(MultiStep{}).describe() == "0.1 times 0.1 at 60 % 80 %");
    CHECK(AnySchedule().describe() == "constant 0");
    const AnySchedule lambda = [](const Progress& now) { return 2.0 * static_cast<double>(now.step); };
    CHECK(lambda(at(3, 10)) == 6);
    CHECK(lambda.describe() == "custom");
}

TEST_CASE("Schedules say which option is wrong, and that the length of the run is missing") {
    CHECK(mentions(message_of([] { Cosine{}(at(0, 0)); }), {"Cosine", "length of the run", "0"}));
    CHECK(mentions(message_of([] { Linear{}(at(0, 0)); }), {"Linear", "length of the run"}));
    CHECK(mentions(message_of([] { MultiStep{}(at(0, 0)); }), {"MultiStep", "length of the run"}));
    CHECK(mentions(message_of([] { WarmupCosine{.warmup_fraction = 0.1}(at(0, 0)); }), {"WarmupCosine", "length"}));
    CHECK(mentions(message_of([] { WarmupCosine{.warmup_steps = -1}(at(0, 9)); }), {"warmup_steps", "-1"}));
    CHECK(mentions(message_of([] { WarmupCosine{.warmup_fraction = 10}(at(0, 9)); }), {"warmup_fraction", "10"}));
    CHECK(mentions(message_of([] { WarmupCosine{.warmup_steps = 2, .warmup_fraction = 0.1}(at(0, 9)); }),
                   {"warmup_steps or warmup_fraction", "2", "0.1"}));
    CHECK(mentions(message_of([] { MultiStep{.milestones = {120}}(at(0, 9)); }), {"milestones", "120"}));
}
