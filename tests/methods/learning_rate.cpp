// SPDX-License-Identifier: Apache-2.0
#include <doppel/methods/learning_rate.hpp>
#include <doppel/schedules/linear.hpp>

#include "support/schedules.hpp"

using namespace doppel;
using doppel::test::says;

TEST_CASE("a learning rate is a number, a schedule, or a rule from images per step to a schedule") {
    const auto rate = [](const LearningRate& lr, std::int64_t images, std::int64_t step) { return lr.at(images)(test::at(step, 10)); };
    CHECK(rate(0.25, 64, 3) == 0.25);
    CHECK(rate(schedules::Linear{.from = 1, .to = 0}, 64, 5) == 0.5);
    const LearningRate rule = [](std::int64_t images) { return schedules::Linear{.from = static_cast<double>(images), .to = 0}; };
    CHECK(rate(rule, 64, 0) == 64);
    CHECK(rate(rule, 128, 5) == 64);
    CHECK(rule.is_set());
}

TEST_CASE("a learning rate that was not set says how to set it") {
    CHECK(!LearningRate{}.is_set());
    says([] { LearningRate{}.at(8); }, {"no learning rate", "preset.lr"});
}
