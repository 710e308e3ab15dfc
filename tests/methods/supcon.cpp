// SPDX-License-Identifier: Apache-2.0
#include <doppel/methods/supcon.hpp>

#include "support/method_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("three steps of SupCon equal solo-learn's loss") {
    steps_as("variant_steps.txt", "supcon", methods::supcon(tiny(), tiny_heads(methods::SupconOptions{})).recipe,
             {.loose = 5e-3, .lr = 0.01});
}

TEST_CASE("SupCon is SimCLR but for its loss") {
    trains(methods::supcon(tiny(), tiny_heads(methods::supcon_small)), two_views);
    is_trained_as(methods::supcon(tiny()), methods::simclr(tiny()), "supcon");
}
