// SPDX-License-Identifier: Apache-2.0
#include <doppel/schedules/warmup_cosine.hpp>

#include "support/schedules.hpp"

using namespace doppel;
using namespace doppel::schedules;
using namespace doppel::test;

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

TEST_CASE("WarmupCosine says which option is wrong, and that the length of the run is missing") {
    says([] { WarmupCosine{.warmup_fraction = 0.1}(at(0, 0)); }, {"WarmupCosine", "length"});
    says([] { WarmupCosine{.warmup_steps = -1}(at(0, 9)); }, {"warmup_steps", "-1"});
    says([] { WarmupCosine{.warmup_fraction = 10}(at(0, 9)); }, {"warmup_fraction", "10"});
    says([] { WarmupCosine{.warmup_steps = 2, .warmup_fraction = 0.1}(at(0, 9)); },
         {"one of warmup_steps, warmup_epochs and warmup_fraction", "2", "0.1"});
    says([] { WarmupCosine{.warmup_epochs = 2, .warmup_fraction = 0.1}(at(0, 9)); }, {"warmup_epochs", "2", "0.1"});
    says([] { WarmupCosine{.warmup_epochs = -1}(at(0, 9)); }, {"warmup_epochs", "-1"});
    says([] { WarmupCosine{.warmup_epochs = 1}(at(0, 9)); }, {"warmup_epochs", "steps_per_epoch is 0", "warmup_steps"});
}

TEST_CASE("WarmupCosine's epochs stay epochs, however long the run") {
    for (const std::int64_t epochs : {3, 10, 200}) {
        const Horizon run{.samples = 1000, .steps = 10 * epochs, .steps_per_epoch = 10};
        CHECK(WarmupCosine{.warmup_epochs = 2.5}.warmup(run) == 25);
        CHECK(WarmupCosine{.peak = 0.5, .warmup_epochs = 2.5}({.step = 5, .of = run}) == Approx(0.1).epsilon(1e-14));
        CHECK(WarmupCosine{.peak = 0.5, .warmup_epochs = 2.5}({.step = 25, .of = run}) == 0.5);
    }
    CHECK(AnySchedule(WarmupCosine{.peak = 0.5, .warmup_epochs = 10}).describe() ==
          "linear from 0 to 0.5 over 10 epochs, then half cosine to 0");
}

TEST_CASE("WarmupCosine says that the run ends before its peak") {
    const auto text = [](WarmupCosine schedule, std::int64_t epochs) {
        return AnySchedule(schedule).begin({.samples = 1000, .steps = 10 * epochs, .steps_per_epoch = 10});
    };
    CHECK(text({.peak = 0.5, .warmup_epochs = 10}, 11).empty());
    CHECK(text({.peak = 0.5, .warmup_epochs = 10}, 5) ==
          "WarmupCosine: the warm-up of 100 steps is not shorter than the run of 50: the value ends at 0.245 and never reaches "
          "0.5; train longer or shorten the warm-up");
    CHECK(doppel::test::mentions(text({.peak = 0.5, .warmup_epochs = 10}, 10), {"100 steps", "run of 100", "0.495"}));
    CHECK(text({.peak = 0.5}, 1).empty());
    CHECK(text({.peak = 0.5, .warmup_fraction = 0.9}, 1).empty());
    CHECK(AnySchedule([](const TrainingStep&) { return 1.0; }).begin({.steps = 5}).empty());
}
