// SPDX-License-Identifier: Apache-2.0
#include <doppel/methods/directclr.hpp>

#include "support/method_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("three steps of DirectCLR equal lightly's loss") {
    steps_as("variant_steps.txt", "directclr", methods::directclr(tiny(), {.dims = 5}).recipe,
             {.lr = 0.05, .batch = [](std::int64_t s) { return noisy_views(s, 2); }});
}

TEST_CASE("DirectCLR is SimCLR on a part of the features, without a projector") {
    auto small = methods::directclr_small;
    CHECK(small.dims == 32);
    small.dims = 8;  // all features
    trains(methods::directclr(tiny(), small), two_views);
    const auto preset = methods::directclr(tiny());
    is_trained_as(preset, methods::simclr(tiny()), "directclr");
    CHECK(std::is_same_v<decltype(preset.recipe)::Projector, None>);
    CHECK(preset.recipe.loss.dims == 360);
    CHECK(preset.recipe.loss.temperature == 0.1);
    // The defaults of main.py and its adjust_learning_rate: 4.8 for 4096 images, 10 epochs of warm-up, down to a thousandth.
    const auto large = methods::directclr(tiny(), methods::directclr_lars);
    CHECK((large.batch_size == 4096 && large.epochs == 100));
    CHECK(rate(large, 0.1) == Approx(4.8));
    CHECK(rate(large, 1) == Approx(0.0048));
    CHECK(mentions(large.optimizer.describe(), {"LARS, eta 0.001", "1e-06", "not on biases"}));
    CHECK(large.recipe.loss.cross_view);
    CHECK(!preset.recipe.loss.cross_view);
    Method method{preset.recipe, {.seed = 1}};
    says([&] { method->forward(batch_of(6)); }, {"Directclr", "dims is 360", "8 features"});
}
