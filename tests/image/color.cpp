// SPDX-License-Identifier: Apache-2.0
#include "reference/augment.hpp"

#include <doppel/image/channels.hpp>
#include <doppel/image/color.hpp>

using namespace doppel;
using test::changed;
using test::difference;
using test::expected;

namespace {

std::string number(const std::string& name, double value) {
    std::string text = std::to_string(value);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text += '0';
    return name + "/" + text;
}

}  // namespace

TEST_CASE("brightness and contrast equal torchvision on Pillow images bit for bit") {
    for (const double factor : {0.4, 1.7}) {
        const auto brighter = [&](Image& image) { image::brightness(image, factor); };
        const auto contrasted = [&](Image& image) { image::contrast(image, factor); };
        CHECK(difference(changed(expected("source/busy"), brighter), expected(number("brightness", factor))) == 0);
        CHECK(difference(changed(expected("source/gray"), brighter), expected(number("brightness/gray", factor))) == 0);
        CHECK(difference(changed(expected("source/busy"), contrasted), expected(number("contrast", factor))) == 0);
        CHECK(difference(changed(expected("source/gray"), contrasted), expected(number("contrast/gray", factor))) == 0);
    }
}

TEST_CASE("saturation equals torchvision on Pillow images bit for bit") {
    for (const double factor : {0.0, 0.5, 1.9})
        CHECK(difference(changed(expected("source/busy"), [&](Image& image) { image::saturation(image, factor); }),
                         expected(number("saturation", factor))) == 0);
}

TEST_CASE("hue equals torchvision on Pillow images bit for bit") {
    for (const double turns : {0.0, 0.1, -0.25, 0.5})
        CHECK(difference(changed(expected("source/busy"), [&](Image& image) { image::hue(image, turns); }),
                         expected(number("hue", turns))) == 0);
}

TEST_CASE("hue turns the pure colors into each other and leaves gray alone") {
    Image three(4, 1, 3);
    three.pixels = {255, 0, 0, 0, 255, 0, 0, 0, 255, 77, 77, 77};
    image::hue(three, 1 / 3.);  // 85 of 255 steps, exactly a third
    CHECK(three.pixels == std::vector<std::uint8_t>{0, 255, 0, 0, 0, 255, 255, 0, 0, 77, 77, 77});
}

TEST_CASE("hue rounds whole steps down where Pillow's float arithmetic does") {
    Image pixel(1, 1, 3);
    pixel.pixels = {0, 6, 255};  // 168.999999 steps of 255 in floats, 169 exactly
    const auto turned = [&](double turns) { return changed(pixel, [&](Image& i) { image::hue(i, turns); }).pixels; };
    CHECK(turned(0) == std::vector<std::uint8_t>{0, 12, 255});
    CHECK(turned(0.1) == std::vector<std::uint8_t>{138, 0, 255});
}

TEST_CASE("grayscale, its one-channel form and solarize equal Pillow") {
    CHECK(changed(expected("source/busy"), [](Image& image) { image::grayscale(image); }) == expected("grayscale"));
    CHECK(image::with_channels(expected("source/busy"), 1) == expected("source/gray"));
    for (const int threshold : {128, 100, 256})
        CHECK(changed(expected("source/busy"), [&](Image& image) { image::solarize(image, threshold); }) ==
              expected("solarize/" + std::to_string(threshold)));
}

TEST_CASE("solarize inverts from the threshold upwards") {
    Image steps(3, 1, 1);
    steps.pixels = {127, 128, 129};
    image::solarize(steps, 128);
    CHECK(steps.pixels == std::vector<std::uint8_t>{127, 127, 126});
}

TEST_CASE("a factor of 1 changes nothing") {
    const Image& busy = expected("source/busy");
    CHECK(changed(busy, [](Image& image) { image::brightness(image, 1); }) == busy);
    CHECK(changed(busy, [](Image& image) { image::contrast(image, 1); }) == busy);
    CHECK(changed(busy, [](Image& image) { image::saturation(image, 1); }) == busy);
}

TEST_CASE("one-channel images keep their pixels under saturation, hue and grayscale") {
    const Image& gray = expected("source/gray");
    CHECK(changed(gray, [](Image& image) { image::saturation(image, 0.3); }) == gray);
    CHECK(changed(gray, [](Image& image) { image::hue(image, 0.3); }) == gray);
    CHECK(changed(gray, [](Image& image) { image::grayscale(image); }) == gray);
}

TEST_CASE("color functions accept an image without pixels") {
    Image none(0, 0, 3);
    image::brightness(none, 2);
    image::contrast(none, 2);
    image::saturation(none, 2);
    image::hue(none, 0.2);
    image::grayscale(none);
    CHECK(none.pixels.empty());
    CHECK(test::mentions(test::message_of([&] { image::hue(none, 0.6); }), {"hue", "0.6", "0.5"}));
}
