// SPDX-License-Identifier: Apache-2.0
#include <doppel/image/flip.hpp>

#include "reference/augment.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("flip mirrors left and right, and twice is nothing") {
    for (const char* source : {"source/busy", "source/gray"}) {
        const Image& image = expected(source);
        const Image once = changed(image, image::flip);
        CHECK(once != image);
        CHECK(changed(once, image::flip) == image);
    }
    CHECK(changed(expected("source/busy"), image::flip) == expected("flip"));
}
