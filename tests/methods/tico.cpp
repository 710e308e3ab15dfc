// SPDX-License-Identifier: Apache-2.0
#include <doppel/encoders/resnet.hpp>
#include <doppel/methods/byol.hpp>
#include <doppel/methods/tico.hpp>

#include "support/method_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("three steps of TiCo equal lightly's loss, covariance and target included") {
    steps_as("variant_steps.txt", "tico", methods::tico(tiny(), {.momentum = 0.9, .hidden = 16, .out = 12}).recipe,
             {.loose = 2e-4, .lr = 0.01});
}

TEST_CASE("TiCo has its paper's head, loss and target, BYOL's views, and trains") {
    trains(methods::tico(tiny(), methods::tico_small), two_views);
    const auto preset = methods::tico(tiny());
    CHECK(layers(*preset.recipe.projector.build(8).module) ==
          "Linear 8 4096 | BatchNorm 4096 | ReLU | Linear 4096 256 bias");
    CHECK(preset.recipe.loss.beta == 0.9);
    CHECK(preset.recipe.loss.rho == 8);
    CHECK(preset.recipe.target.schedule(at_share(0)) == 0.99);
    CHECK(preset.recipe.target.schedule(at_share(1)) == 1);
    CHECK(preset.recipe.target.timing == targets::EmaTiming::after_step);
    CHECK(methods::tico(encoders::ResNet{.depth = 50}).recipe.encoder.zero_init_residual);
    CHECK(!methods::tico(encoders::ResNet{}, methods::tico_small).recipe.encoder.zero_init_residual);
    CHECK(preset.views.name == "tico");
    const auto byol = methods::byol(tiny()).views;
    REQUIRE(preset.views.pipelines.size() == 2);
    for (const std::size_t v : {0u, 1u}) CHECK(preset.views.pipelines[v].describe() == byol.pipelines[v].describe());
}

TEST_CASE("TiCo's learning rate, decay and warm-up are those of lightly's ImageNet benchmark") {
    const auto preset = methods::tico(tiny(), {.train = {.batch_size = 512}});
    CHECK(preset.optimizer.describe().find("LARS") == 0);
    CHECK(mentions(preset.optimizer.describe(), {"1.5e-06", "not on biases"}));
    CHECK(rate(preset, 0.1) == Approx(0.4));
    CHECK(peak_epoch(preset) == 10);
    CHECK(rate(methods::tico(tiny(), {.train = {.lr = 0.7}}), 0.1) == Approx(0.7));
    const auto small = methods::tico(tiny(), methods::tico_small);
    CHECK(small.optimizer.check_learning_rate(rate(small, 0.1)).empty());
    CHECK(small.batch_size == 64);
}
