// SPDX-License-Identifier: Apache-2.0
#include <doppel/image/image16.hpp>

#include "support/support.hpp"

using namespace doppel;
using image::Image16;
using image::SampleWindow;

TEST_CASE("a window maps low to 0, high to 255, linearly and rounded between") {
    const Image16 row{6, 1, 1, {0, 1000, 1500, 2000, 3000, 65535}};
    CHECK(image::window(row, 1000, 2000).pixels == std::vector<std::uint8_t>{0, 0, 128, 255, 255, 255});
    CHECK(image::window(row, 0, 65535).pixels == std::vector<std::uint8_t>{0, 4, 6, 8, 12, 255});
    CHECK(image::window(row, 1499, 1500).pixels == std::vector<std::uint8_t>{0, 0, 255, 255, 255, 255});
    const Image16 color{1, 1, 3, {10, 20, 30}};
    CHECK(image::window(color, 10, 30).pixels == std::vector<std::uint8_t>{0, 128, 255});
    const SampleWindow full;
    for (int sample = 0; sample < 65536; ++sample) REQUIRE(full(sample) == (sample + 128) / 257);
    CHECK(test::mentions(test::message_of([&] { image::window(row, 5, 5); }), {"window: low must be below high, got 5 and 5"}));
}

TEST_CASE("window_of reads LOW:HIGH") {
    CHECK(image::window_of("0:65535") == SampleWindow{});
    CHECK(image::window_of("1000:3000") == SampleWindow{1000, 3000});
    for (const auto* text : {"", "5", ":", "5:", ":5", "5:5", "6:5", "-1:5", "0:65536", "a:5", "5:6 ", "1:2:3", "1.5:3"}) {
        CAPTURE(text);
        CHECK_FALSE(image::window_of(text));
    }
}
