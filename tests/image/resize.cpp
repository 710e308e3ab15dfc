// SPDX-License-Identifier: Apache-2.0
#include "reference/augment.hpp"

#include <doppel/image/resize.hpp>

using namespace doppel;
using image::Filter;
using test::difference;
using test::expected;

TEST_CASE("resize equals Pillow bit for bit, growing and shrinking, on one axis or both") {
    const Image& busy = expected("source/busy");
    for (const Filter filter : {Filter::bilinear, Filter::bicubic})
        for (const auto& [width, height] : {std::pair(32, 20), {10, 7}, {24, 9}, {7, 17}, {1, 1}}) {
            const std::string name = std::string("resize/") + name_of(filter) + "/" + std::to_string(width) + "x" +
                                     std::to_string(height);
            INFO(name);
            CHECK(difference(image::resize(busy, width, height, filter), expected(name)) == 0);
        }
}

TEST_CASE("resize reads a box with fractions as Pillow does") {
    const image::Box box{2.5F, 1.25F, 20.75F, 15.5F};
    for (const Filter filter : {Filter::bilinear, Filter::bicubic})
        CHECK(difference(image::resize(expected("source/busy"), 11, 13, filter, box),
                         expected(std::string("resize/") + name_of(filter) + "/box")) == 0);
}

TEST_CASE("resize goes along x first, also where Pillow 13 does not") {
    for (const Filter filter : {Filter::bilinear, Filter::bicubic})
        CHECK(difference(image::resize(expected("source/busy"), 30, 6, filter),
                         expected(std::string("resize/") + name_of(filter) + "/x-then-y")) == 0);
}

TEST_CASE("resize of gray equals Pillow bit for bit") {
    for (const Filter filter : {Filter::bilinear, Filter::bicubic})
        CHECK(difference(image::resize(expected("source/gray"), 10, 23, filter),
                         expected(std::string("resize/") + name_of(filter) + "/gray")) == 0);
}

TEST_CASE("resize to the same size changes nothing and a constant image stays constant") {
    const Image& busy = expected("source/busy");
    CHECK(image::resize(busy, busy.width, busy.height) == busy);
    CHECK(image::resize(busy, busy.width, busy.height, Filter::bicubic) == busy);
    Image flat(13, 9, 3);
    for (auto& byte : flat.pixels) byte = 201;
    for (const auto byte : image::resize(flat, 40, 5, Filter::bicubic).pixels) CHECK(byte == 201);
}

TEST_CASE("resize says what is wrong with a size, a region or an image") {
    const Image& busy = expected("source/busy");
    CHECK(test::mentions(test::message_of([&] { image::resize(busy, 0, 5); }), {"resize", "0x5"}));
    CHECK(test::mentions(test::message_of([&] { image::resize(busy, 5, 5, Filter::bilinear, {0, 0, 25, 17}); }),
                         {"resize", "24x17", "25"}));
    CHECK(test::mentions(test::message_of([&] { image::resize(Image(), 5, 5); }), {"resize", "0x0x0"}));
}
