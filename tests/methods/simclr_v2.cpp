// SPDX-License-Identifier: Apache-2.0
#include <doppel/methods/simclr_v2.hpp>

#include "support/method_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("three steps of SimCLR v2 equal lightly's loss") {
    steps_as("variant_steps.txt", "simclr_v2", methods::simclr_v2(tiny(), tiny_heads(methods::SimclrV2Options{})).recipe,
             {.loose = 5e-3, .lr = 0.01});
}

TEST_CASE("SimCLR v2 is SimCLR with a projector of three layers, whose last BatchNorm has a scale alone") {
    trains(methods::simclr_v2(tiny(), tiny_heads(methods::simclr_v2_small)), two_views);
    const auto preset = methods::simclr_v2(tiny());
    is_trained_as(preset, methods::simclr(tiny()), "simclr_v2");
    CHECK(preset.recipe.projector.hidden == std::vector<std::int64_t>{2048, 2048});
    CHECK(preset.recipe.projector.out == 128);
    CHECK(preset.recipe.projector.last_norm == heads::LastNorm::scale_only);
    CHECK(methods::simclr_v2(tiny(), methods::simclr_v2_small).recipe.projector.last_norm == heads::LastNorm::scale_only);
    CHECK(mentions(methods::simclr_v2(tiny(), methods::simclr_v2_lars).optimizer.describe(), {"LARS (SimCLR's)", "0.0001"}));
}
