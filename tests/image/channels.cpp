// SPDX-License-Identifier: Apache-2.0
#include <doppel/image/channels.hpp>

#include "reference/augment.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("with_channels puts gray into three equal channels and back") {
    const Image& gray = expected("source/gray");
    const Image color = image::with_channels(gray, 3);
    REQUIRE(color.channels == 3);
    for (std::size_t i = 0; i < gray.pixels.size(); ++i)
        for (std::size_t c = 0; c < 3; ++c) REQUIRE(color.pixels[3 * i + c] == gray.pixels[i]);
    CHECK(image::with_channels(color, 1) == gray);
    CHECK(mentions(message_of([&] { image::with_channels(gray, 4); }), {"with_channels", "4"}));
}
