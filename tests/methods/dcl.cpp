// SPDX-License-Identifier: Apache-2.0
#include <doppel/methods/dcl.hpp>

#include "support/method_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("three steps of DCL equal lightly's loss") {
    steps_as("variant_steps.txt", "dcl", methods::dcl(tiny(), tiny_heads(methods::DclOptions{.norm = methods::ProjectorNorm::hidden})).recipe,
             {.loose = 2e-3, .lr = 0.01});
}

TEST_CASE("DCL is SimCLR but for its loss") {
    trains(methods::dcl(tiny(), tiny_heads(methods::dcl_small)), two_views);
    is_trained_as(methods::dcl(tiny()), methods::simclr(tiny()), "dcl");
    CHECK(methods::dcl(tiny()).recipe.loss.temperature == 0.1);
}
