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
    Method method{preset.recipe, {.seed = 1}};
    says([&] { method->forward(batch_of(6)); }, {"Directclr", "dims is 360", "8 features"});
}
