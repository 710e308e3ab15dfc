// SPDX-License-Identifier: Apache-2.0
#include <doppel/augment/random_resized_crop.hpp>

#include "support/operations.hpp"

#include <algorithm>
#include <cmath>

using namespace doppel;
using namespace doppel::test;
using augment::RandomResizedCrop;

TEST_CASE("RandomResizedCrop draws parts inside the image with area and aspect in range") {
    const RandomResizedCrop crop{.size = 8, .scale = {0.2, 0.6}, .ratio = {0.5, 2}};
    double smallest = 1, largest = 0;
    for (std::uint64_t i = 0; i < 2000; ++i) {
        auto draw = stream_of(i);
        const auto part = crop.draw(draw, 200, 150);
        REQUIRE((part.left >= 0 && part.top >= 0 && part.left + part.width <= 200 && part.top + part.height <= 150));
        const double area = part.width * part.height / 30000.0, aspect = static_cast<double>(part.width) / part.height;
        REQUIRE(area > 0.195);
        REQUIRE(area < 0.605);
        REQUIRE(aspect > 0.49);
        REQUIRE(aspect < 2.04);
        smallest = std::min(smallest, area);
        largest = std::max(largest, area);
    }
    CHECK(smallest < 0.21);
    CHECK(largest > 0.59);
}

TEST_CASE("RandomResizedCrop's area is uniform and its aspect log-uniform") {
    const RandomResizedCrop crop{.scale = {0.1, 0.5}};
    double area = 0, aspect = 0;
    constexpr int draws = 4000;
    for (std::uint64_t i = 0; i < draws; ++i) {
        auto draw = stream_of(i);
        const auto part = crop.draw(draw, 1000, 1000);
        area += part.width * 1e-6 * part.height / draws;
        aspect += std::log(static_cast<double>(part.width) / part.height) / draws;
    }
    CHECK(area == Approx(0.3).margin(0.008));     // standard error 0.0018
    CHECK(aspect == Approx(0.0).margin(0.012));  // standard error 0.0026
}

TEST_CASE("RandomResizedCrop falls back to the largest centered part when nothing fits") {
    const RandomResizedCrop crop{.scale = {1, 1}, .ratio = {3 / 4., 4 / 3.}};
    auto draw = stream_of(1);
    CHECK(crop.draw(draw, 100, 10) == image::Rect{43, 0, 13, 10});
    CHECK(crop.draw(draw, 10, 100) == image::Rect{0, 43, 10, 13});
    CHECK(RandomResizedCrop{.scale = {4, 4}}.draw(draw, 20, 20) == image::Rect{0, 0, 20, 20});
    CHECK(RandomResizedCrop{}.draw(draw, 1, 1) == image::Rect{0, 0, 1, 1});
}

TEST_CASE("RandomResizedCrop applies a fixed part as torchvision does") {
    const image::Rect part{5, 3, 12, 9};
    CHECK(RandomResizedCrop{.size = 16}.apply(expected("source/busy"), part) == expected("resized_crop/bilinear"));
    CHECK(RandomResizedCrop{.size = 16, .filter = image::Filter::bicubic}.apply(expected("source/busy"), part) ==
          expected("resized_crop/bicubic"));
}

TEST_CASE("RandomResizedCrop takes any image, describes itself, and says which option is wrong") {
    takes_any_image(RandomResizedCrop{.size = 9});
    CHECK(RandomResizedCrop{.size = 32, .scale = {0.2, 1}, .ratio = {0.75, 1.5}}.describe() ==
          "random_resized_crop(size=32, scale=[0.2, 1], ratio=[0.75, 1.5], filter=bilinear)");
    CHECK(mentions(refusal_of(RandomResizedCrop{.size = 0}), {"RandomResizedCrop", "size", "0"}));
    CHECK(mentions(refusal_of(RandomResizedCrop{.scale = {0.5, 0.2}}), {"RandomResizedCrop", "scale", "[0.5, 0.2]"}));
    CHECK(mentions(refusal_of(RandomResizedCrop{.ratio = {0, 1}}), {"RandomResizedCrop", "ratio", "[0, 1]"}));
}
