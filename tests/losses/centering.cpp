// SPDX-License-Identifier: Apache-2.0
#include <doppel/losses/centering.hpp>
#include <doppel/losses/dino.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;
using losses::Dino;
using losses::TargetTemperature;

TEST_CASE("the target's temperature rises from epoch to epoch as numpy.linspace says") {
    const std::vector<TargetTemperature> all{{0.04, 0.07, 30}, {0.04, 0.07, 1}, {0.02, 0.06, 4}, {0.04, 0.04, 0}};
    for (const auto& temperature : all) {
        const auto expected = fixture("dino.txt", "temperature_" + std::to_string(temperature.epochs)).at("value");
        REQUIRE(expected.size() == 40);
        for (std::int64_t step = 0; step < 200; ++step) {  // five steps an epoch
            const TrainingStep at{.step = step, .of = {.steps = 200, .steps_per_epoch = 5}};
            CHECK(temperature(at) == Approx(expected.at(static_cast<std::size_t>(step / 5))).epsilon(1e-12));
        }
    }
    Dino loss{.target_temperature = {.from = 0.04, .to = 0.07, .epochs = 3}};
    CHECK(loss.begin({.samples = 10, .steps = 15, .steps_per_epoch = 5}).empty());
    CHECK(mentions(loss.begin({.samples = 10, .steps = 10, .steps_per_epoch = 5}), {"Dino", "over 3 epochs", "run of 10 steps", "never reaches 0.07"}));
    CHECK(mentions(loss.begin({.samples = 10, .steps = 10}), {"Dino", "temperature", "epoch"}));
    loss.target_temperature.to = 0.04;
    CHECK(loss.begin({.samples = 10, .steps = 10}).empty());
}
