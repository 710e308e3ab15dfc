// SPDX-License-Identifier: Apache-2.0
#include <doppel/core/training_step.hpp>

#include "support/support.hpp"

using namespace doppel;

TEST_CASE("a step's epoch is counted from 0, and 0 where the length of an epoch is not known") {
    const auto epoch = [](std::int64_t step, std::int64_t per_epoch) {
        return TrainingStep{.step = step, .of = {.samples = 100, .steps = 50, .steps_per_epoch = per_epoch}}.epoch();
    };
    CHECK(epoch(0, 5) == 0);
    CHECK(epoch(4, 5) == 0);
    CHECK(epoch(5, 5) == 1);
    CHECK(epoch(49, 0) == 0);
}
