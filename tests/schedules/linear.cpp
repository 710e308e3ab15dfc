// SPDX-License-Identifier: Apache-2.0
#include <doppel/schedules/linear.hpp>

#include "support/support.hpp"

namespace {

using namespace doppel;
using namespace doppel::schedules;
using doppel::test::says;

TrainingStep at(std::int64_t step, std::int64_t steps) { return {.step = step, .of = {.samples = 1000, .steps = steps}}; }

}  // namespace

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
