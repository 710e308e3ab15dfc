// SPDX-License-Identifier: Apache-2.0
#include <doppel/image/crop.hpp>
#include <doppel/image/resize.hpp>

#include "reference/augment.hpp"

using namespace doppel;
using namespace doppel::test;
using image::Filter;

TEST_CASE("resized_crop equals crop then resize and torchvision") {
    const Image& busy = expected("source/busy");
    const image::Rect part{5, 3, 12, 9};
    for (const Filter filter : {Filter::bilinear, Filter::bicubic}) {
        const Image fused = image::resized_crop(busy, part, 16, 16, filter);
        CHECK(fused == image::resize(image::crop(busy, part), 16, 16, filter));
        CHECK(difference(fused, expected(std::string("resized_crop/") + name_of(filter))) == 0);
    }
}

TEST_CASE("center_crop equals torchvision: even and odd rests, black where the image is smaller") {
    const Image& busy = expected("source/busy");
    CHECK(image::center_crop(busy, 11, 8) == expected("center_crop/11x8"));
    CHECK(image::center_crop(busy, 9, 9) == expected("center_crop/9x9"));
    CHECK(image::center_crop(busy, 31, 12) == expected("center_crop/31x12"));
}

TEST_CASE("crop says which region lies outside, and of which image") {
    const Image& busy = expected("source/busy");
    CHECK(mentions(message_of([&] { image::crop(busy, {20, 0, 5, 5}); }), {"crop", "24x17", "(20, 0)"}));
    CHECK(mentions(message_of([&] { image::crop(busy, {2147483647, 0, 5, 5}); }), {"crop", "24x17"}));
    CHECK(mentions(message_of([&] { image::center_crop(busy, -1, 5); }), {"center_crop", "-1x5"}));
}
