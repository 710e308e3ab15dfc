// SPDX-License-Identifier: Apache-2.0
#include <doppel/augment/resize.hpp>

#include "support/operations.hpp"

using namespace doppel;
using namespace doppel::test;
using augment::Resize;

TEST_CASE("Resize sets the short side as torchvision does") {
    CHECK(Resize{.size = 12}.apply(expected("source/busy")) == expected("resize/short"));
    const Image tall = Resize{.size = 5}.apply(Image(10, 23, 3));
    CHECK(tall.width == 5);
    CHECK(tall.height == 11);
}

TEST_CASE("Resize takes any image but none, describes itself, and says which option is wrong") {
    takes_any_image(Resize{.size = 9});
    CHECK(Resize{.size = 5, .filter = image::Filter::bicubic}.describe() == "resize(size=5, filter=bicubic)");
    CHECK(mentions(refusal_of(Resize{.size = 0}), {"Resize", "size", "0"}));
    CHECK(mentions(message_of([] { Resize{}.apply(Image()); }), {"Resize", "no pixels"}));
}
