// SPDX-License-Identifier: Apache-2.0
#include <doppel/schedules/linear.hpp>

#include "support/schedules.hpp"

using namespace doppel;
using namespace doppel::schedules;
using namespace doppel::test;

TEST_CASE("Linear meets both ends exactly and the line between") {
    const Linear line{.from = 0.3, .to = 0.1};
    CHECK(line(at(0, 10)) == 0.3);
    CHECK(line(at(5, 10)) == Approx(0.2).epsilon(1e-14));
    CHECK(line(at(9, 10)) == Approx(0.12).epsilon(1e-14));
    CHECK(line(at(10, 10)) == 0.1);
    CHECK(line(at(25, 10)) == 0.1);
}

TEST_CASE("Linear says that the length of the run is missing") {
    says([] { Linear{}(at(0, 0)); }, {"Linear", "length of the run"});
}
