// SPDX-License-Identifier: Apache-2.0
#include <doppel/encoders/resnet.hpp>
#include <doppel/methods/barlow_twins.hpp>

#include "support/method_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("three steps of Barlow Twins equal lightly's loss on the authors' layers") {
    steps_as("redundancy.txt", "steps_barlow_twins", methods::barlow_twins(tiny(), {.hidden = 16, .out = 12}).recipe,
             {.tight = 1e-10, .loose = 5e-3, .lr = 0.01});
}

TEST_CASE("Barlow Twins' head and loss are the authors'") {
    CHECK(layers(*methods::barlow_twins(tiny(), {.hidden = 16, .out = 12}).recipe.projector.build(8).module) ==
          "Linear 8 16 | BatchNorm 16 | ReLU | Linear 16 16 | BatchNorm 16 | ReLU | Linear 16 12");
    const auto recipe = methods::barlow_twins(encoders::ResNet{.depth = 50}).recipe;
    CHECK(recipe.projector.hidden == std::vector<std::int64_t>{8192, 8192});
    CHECK(recipe.projector.out == 8192);
    CHECK(recipe.encoder.zero_init_residual);
    CHECK(!methods::barlow_twins(encoders::ResNet{}, methods::barlow_twins_small).recipe.encoder.zero_init_residual);
    CHECK(recipe.loss.lambda == 0.0051);
    CHECK(recipe.loss.scale == 1);
    CHECK(!recipe.layout.join_views);  // the authors pass the views one after the other
}

TEST_CASE("Barlow Twins trains biases and normalization with a learning rate of their own") {
    const auto preset = methods::barlow_twins(tiny(), {.train = {.batch_size = 2048}, .hidden = 16, .out = 12});
    has_rates(preset, 0.2 * 2048 / 256, 0.0048 * 2048 / 256);
    CHECK(mentions(preset.optimizer.describe(), {"LARS", "0.024"}));
}

TEST_CASE("Barlow Twins' schedule, optimizer and views are the paper's") {
    is_trained_by_lars(methods::barlow_twins(tiny()), "barlow_twins");
    is_small(methods::barlow_twins(tiny(), methods::barlow_twins_small));
    CHECK(rate(methods::barlow_twins(tiny(), {.train = {.lr = 0.7}}), 0.1) == Approx(0.7));
}
