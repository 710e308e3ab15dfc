// SPDX-License-Identifier: Apache-2.0
#include <doppel/augment/center_crop.hpp>

#include "support/operations.hpp"

using namespace doppel;
using namespace doppel::test;
using augment::CenterCrop;

TEST_CASE("CenterCrop gives the middle, with black around an image that is smaller") {
    Image image(5, 3, 1);
    for (std::size_t i = 0; i < 15; ++i) image.pixels[i] = static_cast<std::uint8_t>(i + 1);
    CHECK(CenterCrop{.size = 1}.apply(image).pixels[0] == 8);
    const Image larger = CenterCrop{.size = 7}.apply(image);
    CHECK(larger.width == 7);
    CHECK(larger.height == 7);
    CHECK(larger.at(0, 0)[0] == 0);
    CHECK(larger.at(3, 3)[0] == 8);
}

TEST_CASE("CenterCrop takes any image, describes itself, and says which option is wrong") {
    takes_any_image(CenterCrop{.size = 5});
    CHECK(CenterCrop{.size = 5}.describe() == "center_crop(size=5)");
    CHECK(mentions(refusal_of(CenterCrop{.size = -4}), {"CenterCrop", "-4"}));
}
