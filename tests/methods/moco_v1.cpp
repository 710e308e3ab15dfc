// SPDX-License-Identifier: Apache-2.0
#include <doppel/encoders/resnet.hpp>
#include <doppel/methods/moco_v1.hpp>

#include "support/method_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("three steps of MoCo v1 equal lightly's, with split BatchNorm") {
    auto recipe =
        methods::moco_v1(tiny(), {.temperature = 0.07, .momentum = 0.9, .queue = 12, .out = 12, .bn_groups = 2}).recipe;
    recipe.layout.shuffle_target = false;
    steps_as("method_steps.txt", "moco_v1", recipe, {.tight = 1e-6, .loose = 2e-5});
}

TEST_CASE("MoCo v1's head is the authors'") {
    const auto recipe = methods::moco_v1(encoders::ResNet{.depth = 50}).recipe;
    CHECK(layers(*recipe.projector.build(2048).module) == "Linear 2048 128 bias");
    CHECK(recipe.loss.temperature == 0.07);
    CHECK(recipe.target.schedule({}) == 0.999);
    CHECK(recipe.target.schedule({.step = 500, .of = {.steps = 1000}}) == 0.999);
}
