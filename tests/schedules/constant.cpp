// SPDX-License-Identifier: Apache-2.0
#include <doppel/schedules/constant.hpp>

#include "support/schedules.hpp"

using namespace doppel;
using namespace doppel::schedules;
using namespace doppel::test;

TEST_CASE("Constant is the same at every step, and needs no length of the run") {
    CHECK(constant(0.99)(at(0, 0)) == 0.99);
    CHECK(Constant{0.99}(at(1'000'000, 10)) == 0.99);
}
