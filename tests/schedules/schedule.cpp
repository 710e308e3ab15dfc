// SPDX-License-Identifier: Apache-2.0
#include <doppel/schedules/schedules.hpp>

#include "support/schedules.hpp"

using namespace doppel;
using namespace doppel::schedules;
using namespace doppel::test;

namespace {

struct WithoutCall {};
struct GivesText {
    std::string operator()(const TrainingStep&) const { return {}; }
};
static_assert(Schedule<decltype([](const TrainingStep&) { return 1; })>);
static_assert(!Schedule<WithoutCall> && !Schedule<GivesText> && !Schedule<double>);

}  // namespace

TEST_CASE("AnySchedule gives what the schedule inside gives, and copies share it") {
    const AnySchedule any = WarmupCosine{.peak = 0.8, .warmup_steps = 4, .final = 0.2};
    const AnySchedule copy = any;
    CHECK(copy(at(7, 10)) == Approx(0.5).epsilon(1e-14));
    CHECK(any.describe() == "linear from 0 to 0.8 over 4 steps, then half cosine to 0.2");
    CHECK(AnySchedule(WarmupCosine{.warmup_fraction = 0.1}).describe() ==
          "linear from 0 to 0.1 over 10 % of the run, then half cosine to 0");
    CHECK(AnySchedule(MultiStep{}).describe() == "0.1 times 0.1 at 60 % 80 %");
    CHECK(AnySchedule().describe() == "constant 0");
    const AnySchedule lambda = [](const TrainingStep& now) { return 2.0 * static_cast<double>(now.step); };
    CHECK(lambda(at(3, 10)) == 6);
    CHECK(lambda.describe() == "custom");
}
