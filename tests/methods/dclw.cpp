// SPDX-License-Identifier: Apache-2.0
#include <doppel/methods/dclw.hpp>

#include "support/method_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("three steps of DCLW equal the paper's weights with their gradient") {
    methods::DclwOptions options;
    options.simclr = tiny_heads(options.simclr);
    options.simclr.norm = methods::ProjectorNorm::hidden;
    auto recipe = methods::dclw(tiny(), options).recipe;
    recipe.loss.through_weights = true;
    steps_as("variant_steps.txt", "dclw", recipe, {.loose = 2e-3, .lr = 0.01});
}

TEST_CASE("DCLW is SimCLR but for its loss") {
    auto small = methods::dclw_small;
    small.simclr = tiny_heads(small.simclr);
    trains(methods::dclw(tiny(), small), two_views);
    is_trained_as(methods::dclw(tiny()), methods::simclr(tiny()), "dclw");
    CHECK(methods::dclw(tiny()).recipe.loss.sigma == 0.5);
}
