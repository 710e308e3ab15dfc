// SPDX-License-Identifier: Apache-2.0
#include <doppel/schedules/multi_step.hpp>

#include "support/schedules.hpp"

using namespace doppel;
using namespace doppel::schedules;
using namespace doppel::test;

TEST_CASE("MultiStep multiplies once a milestone is reached") {
    const MultiStep schedule{.value = 0.5, .milestones = {0.6, 0.8}, .factor = 0.1};
    CHECK(schedule(at(119, 200)) == 0.5);
    CHECK(schedule(at(120, 200)) == Approx(0.05).epsilon(1e-14));
    CHECK(schedule(at(159, 200)) == Approx(0.05).epsilon(1e-14));
    CHECK(schedule(at(160, 200)) == Approx(0.005).epsilon(1e-14));
}

TEST_CASE("MultiStep says which option is wrong, and that the length of the run is missing") {
    says([] { MultiStep{}(at(0, 0)); }, {"MultiStep", "length of the run"});
    says([] { MultiStep{.milestones = {120}}(at(0, 9)); }, {"milestones", "120"});
}
