// SPDX-License-Identifier: Apache-2.0
#include <doppel/image/blur.hpp>
#include <doppel/image/channels.hpp>
#include <doppel/image/color.hpp>
#include <doppel/image/crop.hpp>
#include <doppel/image/flip.hpp>
#include <doppel/image/resize.hpp>

#include "reference/augment.hpp"
#include "support/planes.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("with_channels puts gray into three equal channels and back") {
    const Image& gray = expected("source/gray");
    const Image color = image::with_channels(gray, 3);
    REQUIRE(color.channels == 3);
    for (std::size_t i = 0; i < gray.pixels.size(); ++i)
        for (std::size_t c = 0; c < 3; ++c) REQUIRE(color.pixels[3 * i + c] == gray.pixels[i]);
    CHECK(image::with_channels(color, 1) == gray);
    CHECK(mentions(message_of([&] { image::with_channels(gray, 4); }), {"with_channels: an image has 1 channels, expected 4"}));
    const Image bands = noise(5, 4, 6);
    CHECK(image::with_channels(bands, 6) == bands);
    CHECK_THROWS_AS(image::with_channels(bands, 3), Error);
}

TEST_CASE("each band of an image is treated as a gray image is") {
    const Image bands = noise(23, 17, 5);
    const auto band = [](const Image& image, int c) {
        Image one(image.width, image.height, 1);
        for (int y = 0; y < image.height; ++y)
            for (int x = 0; x < image.width; ++x) *one.at(x, y) = image.at(x, y)[c];
        return one;
    };
    const auto check = [&](const auto& change) {
        const Image all = change(bands);
        REQUIRE(all.channels == 5);
        for (int c = 0; c < 5; ++c) CHECK(band(all, c) == change(band(bands, c)));
    };
    const auto changed = [](const auto& change) {
        return [change](Image image) {
            change(image);
            return image;
        };
    };
    check([](const Image& i) { return image::resize(i, 31, 9, image::Filter::bicubic); });
    check([](const Image& i) { return image::resized_crop(i, {3, 2, 11, 12}, 8, 8); });
    check([](const Image& i) { return image::crop(i, {3, 2, 11, 12}); });
    check([](const Image& i) { return image::center_crop(i, 30, 9); });
    check(changed([](Image& i) { image::flip(i); }));
    check(changed([](Image& i) { image::gaussian_blur(i, 1.4); }));
    check(changed([](Image& i) { image::gaussian_blur(i, 1.4, image::Blur::boxes); }));
    check(changed([](Image& i) { image::brightness(i, 1.3); }));
    check(changed([](Image& i) { image::solarize(i, 100); }));
}

TEST_CASE("operations on colors leave images of bands as they are; contrast goes by the mean of all bands") {
    const Image bands = noise(23, 17, 4);
    Image same = bands;
    image::saturation(same, 0.3);
    image::hue(same, 0.3);
    image::grayscale(same);
    CHECK(same == bands);
    Image flat(2, 1, 2);
    flat.pixels = {10, 20, 30, 60};  // mean 30
    image::contrast(flat, 0.5);
    CHECK(flat.pixels == std::vector<std::uint8_t>{20, 25, 30, 45});
}

TEST_CASE("images of bands are shown as RGB of the first three, of two bands as gray") {
    const Image bands = noise(4, 3, 5), two = noise(4, 3, 2), color = noise(4, 3, 3);
    CHECK(image::shown(color) == color);
    const Image seen = image::shown(bands);
    CHECK(seen.shape() == Shape{4, 3, 3});
    CHECK(std::equal(seen.at(2, 1), seen.at(2, 1) + 3, bands.at(2, 1)));
    CHECK(image::shown(two).shape() == Shape{4, 3, 1});
    CHECK(*image::shown(two).at(3, 2) == *two.at(3, 2));
}
