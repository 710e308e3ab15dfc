// SPDX-License-Identifier: Apache-2.0
#include <doppel/augment/normalize.hpp>

#include "support/support.hpp"

using namespace doppel;

TEST_CASE("the papers' means and deviations are valid and differ where the papers do") {
    for (const Normalize& by : {augment::imagenet_normalize, augment::swav_normalize, augment::cifar10_normalize, augment::unit_normalize})
        by.check();
    CHECK(augment::imagenet_normalize.std[0] == 0.229);
    CHECK(augment::swav_normalize.std[0] == 0.228);
    CHECK(NormalizeTable(augment::unit_normalize).at(2, 255) == 1.0F);
}
