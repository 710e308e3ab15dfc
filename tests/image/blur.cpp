// SPDX-License-Identifier: Apache-2.0
#include "reference/augment.hpp"

#include <doppel/image/blur.hpp>

#include <numeric>

using namespace doppel;
using image::Blur;
using test::changed;
using test::difference;
using test::expected;

namespace {

struct Spread {
    double mass, across, down;  // sum, variances along x and y
};

/// A single bright pixel in the middle, blurred; levels are coarse, so the impulse is a square of 255.
Spread spread_of_impulse(double sigma, Blur kind) {
    constexpr int size = 61, middle = size / 2;
    Image impulse(size, size, 1);
    constexpr int half = 3;  // variance of 2 · half + 1 equal places: half (half + 1) / 3 = 4
    for (int y = -half; y <= half; ++y)
        for (int x = -half; x <= half; ++x) *impulse.at(middle + x, middle + y) = 255;
    image::gaussian_blur(impulse, sigma, kind);
    Spread s{0, 0, 0};
    for (int y = 0; y < size; ++y)
        for (int x = 0; x < size; ++x) {
            const double level = *impulse.at(x, y);
            s.mass += level;
            s.across += level * (x - middle) * (x - middle);
            s.down += level * (y - middle) * (y - middle);
        }
    return {s.mass / (255.0 * 49), s.across / s.mass - 4, s.down / s.mass - 4};
}

}  // namespace

TEST_CASE("the variance of a blurred impulse is sigma squared along both axes") {
    for (const Blur kind : {Blur::gaussian, Blur::boxes})
        for (const double sigma : {0.7, 1.0, 1.5, 2.0, 3.0}) {
            INFO(name_of(kind) << " " << sigma);
            const auto s = spread_of_impulse(sigma, kind);
            CHECK(s.mass == Approx(1).epsilon(0.02));
            CHECK(s.across == Approx(sigma * sigma).epsilon(0.06));
            CHECK(s.down == Approx(sigma * sigma).epsilon(0.06));
        }
}

TEST_CASE("the sampled Gaussian's weights sum to one, are symmetric and have variance sigma squared") {
    for (const double sigma : {0.7, 1.0, 2.0, 7.5}) {
        std::vector<std::int16_t> weights;
        image::detail::set_gaussian_weights(weights, sigma);
        CHECK(std::accumulate(weights.begin(), weights.end(), 0) == 1 << image::detail::gaussian_bits);
        CHECK(std::equal(weights.begin(), weights.end(), weights.rbegin()));
        double variance = 0;
        const int radius = static_cast<int>(weights.size()) / 2;
        for (int x = -radius; x <= radius; ++x) variance += x * x * weights[static_cast<std::size_t>(x + radius)];
        CHECK(variance / (1 << image::detail::gaussian_bits) == Approx(sigma * sigma).epsilon(0.02));
    }
}

TEST_CASE("the gaussian kind is within 1 level of torchvision on the same kernel") {
    for (const std::string sigma : {"0.3", "0.8", "2.0"})
        CHECK(difference(changed(expected("source/busy"),
                                 [&](Image& image) { image::gaussian_blur(image, std::stod(sigma)); }),
                         expected("blur/gaussian/" + sigma)) <= 1);
    CHECK(difference(changed(expected("source/gray"), [](Image& image) { image::gaussian_blur(image, 1); }),
                     expected("blur/gaussian/gray")) <= 1);
}

TEST_CASE("the boxes kind equals Pillow bit for bit, also when the box is wider than the image") {
    for (const std::string sigma : {"0.3", "0.8", "2.0", "12.0"})
        CHECK(difference(changed(expected("source/busy"),
                                 [&](Image& image) { image::gaussian_blur(image, std::stod(sigma), Blur::boxes); }),
                         expected("blur/boxes/" + sigma)) == 0);
    CHECK(difference(changed(expected("source/gray"),
                             [](Image& image) { image::gaussian_blur(image, 1, Blur::boxes); }),
                     expected("blur/boxes/gray")) == 0);
}

TEST_CASE("blur leaves constant images and sigma 0 alone, down to one pixel") {
    for (const Blur kind : {Blur::gaussian, Blur::boxes})
        for (const auto& [width, height] : {std::pair(1, 1), {2, 1}, {1, 9}, {20, 3}}) {
            Image flat(width, height, 3);
            for (auto& byte : flat.pixels) byte = 200;
            CHECK(changed(flat, [&](Image& image) { image::gaussian_blur(image, 3, kind); }) == flat);
        }
    const Image& busy = expected("source/busy");
    CHECK(changed(busy, [](Image& image) { image::gaussian_blur(image, 0); }) == busy);
}

TEST_CASE("blur says which sigma it cannot take") {
    Image image(4, 4, 3);
    CHECK(test::mentions(test::message_of([&] { image::gaussian_blur(image, -0.5); }), {"gaussian_blur", "-0.5"}));
    CHECK(test::mentions(test::message_of([&] { image::gaussian_blur(image, 1e9); }), {"gaussian_blur", "1000"}));
}
