// SPDX-License-Identifier: Apache-2.0
#include <doppel/image/decode.hpp>
#include <doppel/image/encode.hpp>

#include "support/images.hpp"
#include "support/support.hpp"

#include <cstdlib>

using namespace doppel;
using namespace doppel::test;
using Bytes = std::vector<std::uint8_t>;

TEST_CASE("PNG files that are written are read back without loss") {
    for (int channels : {1, 3})
        for (int width : {1, 2, 7, 300}) {
            const Image image = gradient(width, 9, channels);
            const Bytes png = image::encode_png(image);
            CHECK(image::format_of(png) == image::Format::png);
            if (readable("png")) CHECK(image::decode(png, "png") == image);
        }
    const Image smooth = gradient(300, 200, 3);
    CHECK(image::encode_png(smooth).size() < smooth.pixels.size() / 50);  // the filters do their work
}

TEST_CASE("images that do not fit their size, and absurd qualities, are not encoded") {
    Image image = gradient(4, 4, 3);
    CHECK(mentions(message_of([&] { image::encode_jpeg(image, 0); }), {"quality must be 1 to 100, got 0"}));
    image.pixels.pop_back();
    CHECK(mentions(message_of([&] { image::encode_png(image); }), {"encode_png", "4 x 4 x 3", "47 bytes"}));
    CHECK(mentions(message_of([&] { image::encode_png(Image()); }), {"0 x 0 x 0"}));
    CHECK(mentions(message_of([&] { image::encode_png(Image(2, 2, 2)); }), {"channels 1 or 3"}));
}

TEST_CASE("JPEG files that are written come back nearly the same") {
#if DOPPEL_JPEG
    for (int channels : {1, 3}) {
        const Image image = gradient(31, 17, channels), back = image::decode(image::encode_jpeg(image, 95), "jpeg");
        REQUIRE(back.pixels.size() == image.pixels.size());
        CHECK(back.channels == channels);
        double sum = 0;
        for (std::size_t i = 0; i < image.pixels.size(); ++i) sum += std::abs(image.pixels[i] - back.pixels[i]);
        CHECK(sum / static_cast<double>(image.pixels.size()) < 4);
    }
    CHECK(image::encode_jpeg(gradient(64, 64, 3), 20).size() < image::encode_jpeg(gradient(64, 64, 3), 95).size());
#endif
}
