// SPDX-License-Identifier: Apache-2.0
#include <doppel/augment/operations.hpp>
#include <doppel/augment/pipeline.hpp>

#include "support/planes.hpp"
#include "support/views.hpp"

#include <cmath>

using namespace doppel;
using namespace doppel::test;
using augment::Pipeline;

namespace {

/// SimCLR's operations for small images.
Pipeline small() {
    return Pipeline({.size = 16,
                     .operations = {augment::RandomResizedCrop{.size = 16}, augment::HorizontalFlip{}, augment::ColorJitter{},
                                    augment::Grayscale{}}});
}

}  // namespace

TEST_CASE("a view is a pure function of seed, epoch, index and view number") {
    const Pipeline pipeline = small();
    const Image& busy = expected("source/busy");
    const auto first = look(pipeline, busy, address(3, 17, 0));
    for (std::uint64_t i = 0; i < 5; ++i) look(pipeline, busy, address(i, i, 1));  // others in between do not matter
    CHECK(look(pipeline, busy, address(3, 17, 0)) == first);
    CHECK(look(Pipeline(pipeline), busy, address(3, 17, 0)) == first);
    CHECK(look(pipeline, busy, address(3, 17, 1)) != first);
    CHECK(look(pipeline, busy, address(4, 17, 0)) != first);
    CHECK(look(pipeline, busy, address(3, 18, 0)) != first);
    CHECK(look(pipeline, busy, address(3, 17, 0, 2)) != first);
}

TEST_CASE("two views of one image differ, by their crops alone too") {
    const Pipeline only_crop({.size = 8, .operations = {augment::RandomResizedCrop{.size = 8}}});
    for (const Pipeline& pipeline : {small(), only_crop})
        for (std::uint64_t i = 0; i < 50; ++i)
            CHECK(pipeline.render(expected("source/busy"), address(0, i, 0)) !=
                  pipeline.render(expected("source/busy"), address(0, i, 1)));
}

TEST_CASE("each band has a mean and a deviation of its own") {
    const Image bands = noise(3, 3, 5);
    const Pipeline pipeline = Pipeline({.size = 3, .normalize = {.mean = {0.5, 0.5, 0.5, 0.5, 0.5}, .std = {1, 1, 1, 1, 1}}, .channels = 5})
                                  .with_normalize({.mean = {0.1, 0.2, 0.3, 0.4, 0.5}, .std = {1, 2, 3, 4, 5}});
    CHECK(mentions(pipeline.describe(), {"mean=[0.1, 0.2, 0.3, 0.4, 0.5]", "std=[1, 2, 3, 4, 5]"}));
    const auto out = look(pipeline, bands, address(0, 0, 0));
    REQUIRE(out.size() == 45);
    for (std::size_t c = 0; c < 5; ++c)
        for (std::size_t i = 0; i < 9; ++i)
            CHECK(out[9 * c + i] ==
                  Approx((bands.pixels[5 * i + c] / 255.0 - 0.1 * static_cast<double>(c + 1)) / static_cast<double>(c + 1)).margin(1e-6));
}

TEST_CASE("a pipeline ends in planes of (x/255 - mean) / std") {
    Image pixels(2, 2, 3);
    for (std::size_t i = 0; i < 12; ++i) pixels.pixels[i] = static_cast<std::uint8_t>(20 * i);
    const augment::Normalize by{.mean = {0.5, 0.25, 0.1}, .std = {0.5, 0.2, 2}};
    const auto out = look(Pipeline({.size = 2, .normalize = by}), pixels, address(0, 0, 0));
    REQUIRE(out.size() == 12);
    for (std::size_t c = 0; c < 3; ++c)
        for (std::size_t i = 0; i < 4; ++i)
            CHECK(out[4 * c + i] == Approx((pixels.pixels[3 * i + c] / 255.0 - by.mean[c]) / by.std[c]).margin(1e-6));
}

TEST_CASE("render gives the image before normalization") {
    const Pipeline pipeline({.size = 16, .operations = small().operations(), .normalize = augment::unit_normalize});
    const Image image = pipeline.render(expected("source/busy"), address(1, 2, 0));
    const auto out = look(pipeline, expected("source/busy"), address(1, 2, 0));
    REQUIRE(image.pixels.size() == out.size());
    for (std::size_t c = 0; c < 3; ++c)
        for (std::size_t i = 0; i < 256; ++i) CHECK(out[256 * c + i] * 255 == Approx(image.pixels[3 * i + c]).margin(1e-3));
}

TEST_CASE("planes have the pixels of render(), whatever the operations, size, channels and vector instructions") {
    using namespace augment;
    const auto darker = [](Image& image, random::Stream& draw) { image::brightness(image, draw.uniform(0.5, 1)); };
    const auto narrower = [](Image& image, random::Stream&) { image = image::crop(image, {1, 0, image.width - 1, image.height}); };
    const ColorJitter strong{.brightness = 0.8, .contrast = 0.8, .saturation = 0.8, .hue = 0.5, .p = 0.9};
    const Image bands = noise(24, 17, 5);
    const Normalize five{.mean = {}, .std = {1, 1, 1, 1, 1}};
    for (const int size : {1, 5, 16, 33, 70, 97}) {
        const RandomResizedCrop crop{.size = size, .filter = size % 2 ? image::Filter::bicubic : image::Filter::bilinear};
        const std::vector<std::vector<AnyOperation>> lists{
            {crop, HorizontalFlip{}, strong, Grayscale{}, GaussianBlur{}, Solarize{.p = 0.5}},
            {crop, Grayscale{}, strong, GaussianBlur{.p = 1, .kind = image::Blur::boxes}, HorizontalFlip{}},
            {crop, HorizontalFlip{}, darker, HorizontalFlip{}, strong},
            {Grayscale{.p = 0.5}, HorizontalFlip{}, crop},
            {Resize{.size = size + 1}, CenterCrop{.size = size}, Solarize{.p = 0.5}},
            {CenterCrop{.size = size}, strong},
            {Resize{.size = size}, CenterCrop{.size = size + 3}, narrower, crop},
        };
        const Image &busy = expected("source/busy"), &gray = expected("source/gray");
        for (const auto& [source, channels] : {std::pair(&busy, 3), std::pair(&busy, 1), std::pair(&gray, 3), std::pair(&gray, 1), std::pair(&bands, 5)})
            for (const auto& operations : lists) {
                const Pipeline pipeline({.size = size, .operations = operations, .normalize = channels == 5 ? five : imagenet_normalize, .channels = channels});
                for (std::uint64_t i = 0; i < 6; ++i) {
                    const Image reference = pipeline.render(*source, address(0, i, 0));
                    std::vector<std::uint8_t> wanted(pipeline.values()), got(pipeline.values());
                    image::to_planes(reference, {wanted.data(), size, size, channels});
                    for (const auto simd : image::all_simd) {
                        if (!image::has_simd(simd)) continue;
                        pipeline(*source, address(0, i, 0), got, simd);
                        INFO(source->channels << " to " << channels << " channels, " << image::name_of(simd) << ", " << pipeline.describe());
                        const bool equal = got == wanted;  // not in the CHECK, which would print every pixel
                        CHECK(equal);
                    }
                }
            }
    }
}

TEST_CASE("a custom operation may run a pipeline of its own") {
    const auto darker = [](Image& image, random::Stream&) { image::brightness(image, 0.5); };
    const Pipeline inner({.size = 40, .operations = {darker, augment::RandomResizedCrop{.size = 40}, darker}});
    const auto mixed = [inner](Image& image, random::Stream& draw) {
        std::vector<float> row(inner.values());
        inner(image, draw, row);
        for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<std::uint8_t>(image.pixels[i] + static_cast<int>(std::abs(row[i])));
    };
    for (const char* name : {"source/busy", "source/gray"})
        for (const bool first : {false, true}) {
            std::vector<augment::AnyOperation> operations{augment::RandomResizedCrop{.size = 16}, mixed};
            if (first) operations.insert(operations.begin(), mixed);
            const Pipeline outer({.size = 16, .operations = operations});
            const Image reference = outer.render(expected(name), address(0, 1, 0));
            std::vector<std::uint8_t> wanted(outer.values()), got(outer.values());
            image::to_planes(reference, {wanted.data(), 16, 16, 3});
            outer(expected(name), address(0, 1, 0), got);
            const bool equal = got == wanted;  // not in the CHECK, which would print every pixel
            CHECK(equal);
            CHECK(look(outer, expected(name), address(0, 1, 0)).size() == 768);
        }
}

TEST_CASE("a pipeline that begins with a random crop needs that part of an image, and no more") {
    const Image& busy = expected("source/busy");
    const Pipeline pipeline = small();
    for (std::uint64_t i = 0; i < 20; ++i) {
        const auto part = pipeline.needs(busy.width, busy.height, address(0, i, 0));
        const Image decoded = image::crop(busy, part);
        std::vector<std::uint8_t> whole(pipeline.values()), cut(pipeline.values());
        pipeline(busy, address(0, i, 0), whole);
        pipeline(augment::Source(decoded, part, busy.width, busy.height), address(0, i, 0), cut);
        CHECK(cut == whole);
    }
    const Pipeline resized({.size = 4, .operations = {augment::Resize{.size = 4}, augment::CenterCrop{.size = 4}}});
    CHECK(resized.needs(24, 17, address(0, 0, 0)) == image::Rect{0, 0, 24, 17});
    std::vector<std::uint8_t> out(48);
    says([&] { resized(augment::Source(busy, {0, 0, 24, 17}, 48, 17), address(0, 0, 0), out); }, {"part of an image", "random crop"});
}

TEST_CASE("drawn() names each operation with what it drew") {
    const auto mine = [](Image&, random::Stream&) {};
    const Pipeline pipeline({.size = 8,
                             .operations = {augment::RandomResizedCrop{.size = 8}, augment::HorizontalFlip{.p = 1},
                                            augment::ColorJitter{.saturation = 0, .p = 1}, mine, augment::GaussianBlur{.p = 1},
                                            augment::Solarize{.p = 0}}});
    const Image& busy = expected("source/busy");
    const auto part = pipeline.needs(busy.width, busy.height, address(0, 1, 0));
    const auto lines = pipeline.drawn(busy, address(0, 1, 0));
    REQUIRE(lines.size() == 6);
    CHECK(lines[0] == "random_resized_crop: " + std::to_string(part.width) + "x" + std::to_string(part.height) + " at (" +
                          std::to_string(part.left) + ", " + std::to_string(part.top) + ")");
    CHECK(lines[1] == "horizontal_flip: yes");
    CHECK(mentions(lines[2], {"color_jitter: ", "brightness ", "contrast ", "hue "}));
    CHECK(lines[2].find("saturation") == std::string::npos);
    CHECK(lines[3] == "custom");
    CHECK(mentions(lines[4], {"gaussian_blur: sigma "}));
    CHECK(lines[5] == "solarize: no");
}

TEST_CASE("operations act in the order they stand in") {
    const auto half = [](Image& image, random::Stream&) { image::brightness(image, 0.5); };
    const Pipeline solar_last({.size = 1, .operations = {half, augment::Solarize{.p = 1}}, .channels = 1});
    const Pipeline solar_first({.size = 1, .operations = {augment::Solarize{.p = 1}, half}, .channels = 1});
    Image pixel(1, 1, 1);
    pixel.pixels = {200};
    CHECK(solar_last.render(pixel, address(0, 0, 0)).pixels[0] == 100);
    CHECK(solar_first.render(pixel, address(0, 0, 0)).pixels[0] == 27);
    CHECK(pixel.pixels[0] == 200);
}

TEST_CASE("a pipeline says what is wrong") {
    const Image& busy = expected("source/busy");
    CHECK(mentions(message_of([&] { look(Pipeline({.size = 9}), busy, address(0, 0, 0)); }), {"Pipeline", "9x9x3", "24x17x3"}));
    CHECK(mentions(message_of([] { Pipeline({.size = 0}); }), {"Pipeline", "size", "0"}));
    CHECK(mentions(message_of([] { Pipeline({.size = 4, .channels = 17}); }), {"Pipeline: channels must be 1 to 16", "17"}));
    CHECK(mentions(message_of([] { Pipeline({.size = 4, .channels = 4}); }), {"Pipeline: normalize has mean and std of 3 channels, expected 4"}));
    const Pipeline four({.size = 24, .normalize = {.mean = {}, .std = {1, 1, 1, 1}}, .channels = 4});
    CHECK(mentions(message_of([&] { look(four, busy, address(0, 0, 0)); }), {"an image has 3 channels, expected 4"}));
    CHECK(mentions(message_of([] { Pipeline({.normalize = {.std = {1, 0, 1}}}); }), {"Normalize", "std", "0"}));
    CHECK(mentions(message_of([&] { Pipeline().render(busy, address(0, 0, 0)); }), {"Pipeline", "default"}));
    std::vector<float> few(3);
    CHECK(mentions(message_of([&] { small()(busy, address(0, 0, 0), few); }), {"Pipeline", "768", "3"}));
}
