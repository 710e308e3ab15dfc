// SPDX-License-Identifier: Apache-2.0
#include <doppel/image/image.hpp>

#include "support/support.hpp"

using namespace doppel;

TEST_CASE("an image starts black, and at() points to the first channel of a pixel") {
    Image image(3, 2, 3);
    REQUIRE(image.pixels.size() == 18);
    for (const auto value : image.pixels) CHECK(value == 0);
    image.at(2, 1)[1] = 7;  // row 1, column 2, green
    CHECK(image.pixels[(1 * 3 + 2) * 3 + 1] == 7);
    CHECK(image != Image(3, 2, 3));
    CHECK(Image(3, 2, 3) != Image(2, 3, 3));
}
