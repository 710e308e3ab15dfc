// SPDX-License-Identifier: Apache-2.0
#include "reference/augment.hpp"

#include <doppel/augment/operations.hpp>

#include <set>

using namespace doppel;
using namespace doppel::augment;
using test::changed;
using test::difference;
using test::expected;

namespace {

random::Stream stream(std::uint64_t index, std::uint64_t view = 0) {
    return random::Stream({.seed = 7, .epoch = 2, .index = index, .view = view});
}

struct NotAnOperation {
    void operator()(const Image&) const {}
};

}  // namespace

static_assert(Operation<AnyOperation>);
static_assert(Operation<void (*)(Image&, random::Stream&)>);
static_assert(!Operation<NotAnOperation>);
static_assert(!Operation<int>);

TEST_CASE("RandomResizedCrop draws parts inside the image with area and aspect in range") {
    const RandomResizedCrop crop{.size = 8, .scale = {0.2, 0.6}, .ratio = {0.5, 2}};
    double smallest = 1, largest = 0;
    for (std::uint64_t i = 0; i < 2000; ++i) {
        auto draw = stream(i);
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
        auto draw = stream(i);
        const auto part = crop.draw(draw, 1000, 1000);
        area += part.width * 1e-6 * part.height / draws;
        aspect += std::log(static_cast<double>(part.width) / part.height) / draws;
    }
    CHECK(area == Approx(0.3).margin(0.008));     // standard error 0.0018
    CHECK(aspect == Approx(0.0).margin(0.012));  // standard error 0.0026
}

TEST_CASE("RandomResizedCrop falls back to the largest centered part when nothing fits") {
    const RandomResizedCrop crop{.scale = {1, 1}, .ratio = {3 / 4., 4 / 3.}};
    auto draw = stream(1);
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

TEST_CASE("Resize sets the short side as torchvision does") {
    CHECK(Resize{.size = 12}.apply(expected("source/busy")) == expected("resize/short"));
    const Image tall = Resize{.size = 5}.apply(Image(10, 23, 3));
    CHECK(tall.width == 5);
    CHECK(tall.height == 11);
}

TEST_CASE("ColorJitter applies fixed factors in the given order as torchvision does") {
    JitterParameters drawn{.brightness = 1.3, .contrast = 0.6, .saturation = 1.4, .hue = 0.07};
    const auto applied = [&] {
        return changed(expected("source/smooth"), [&](Image& image) { ColorJitter{}.apply(image, drawn); });
    };
    CHECK(applied() == expected("jitter/brightness-contrast-saturation-hue"));
    drawn.order = {Jitter::hue, Jitter::contrast, Jitter::brightness, Jitter::saturation};
    CHECK(applied() == expected("jitter/hue-contrast-brightness-saturation"));
    CHECK(applied() != expected("jitter/brightness-contrast-saturation-hue"));
}

TEST_CASE("ColorJitter draws factors in range, all 24 orders, and nothing with probability 1 - p") {
    const ColorJitter jitter{.brightness = 0.4, .contrast = 1.5, .saturation = 0, .hue = 0.1, .p = 0.8};
    std::set<std::array<Jitter, 4>> orders;
    int drawn_count = 0;
    constexpr int draws = 2000;
    for (std::uint64_t i = 0; i < draws; ++i) {
        auto draw = stream(i);
        const auto drawn = jitter.draw(draw);
        if (!drawn) continue;
        ++drawn_count;
        orders.insert(drawn->order);
        REQUIRE((*drawn->brightness >= 0.6 && *drawn->brightness <= 1.4));
        REQUIRE((*drawn->contrast >= 0 && *drawn->contrast <= 2.5));
        REQUIRE(!drawn->saturation);
        REQUIRE((*drawn->hue >= -0.1 && *drawn->hue <= 0.1));
    }
    CHECK(orders.size() == 24);
    CHECK(drawn_count / double{draws} == Approx(0.8).margin(0.04));  // standard error 0.009
}

TEST_CASE("probabilities 0 and 1 mean never and always") {
    const Image& busy = expected("source/busy");
    for (std::uint64_t i = 0; i < 20; ++i) {
        auto draw = stream(i);
        CHECK(changed(busy, [&](Image& image) { HorizontalFlip{.p = 0}(image, draw); }) == busy);
        CHECK(changed(busy, [&](Image& image) { HorizontalFlip{.p = 1}(image, draw); }) == expected("flip"));
        CHECK(changed(busy, [&](Image& image) { Grayscale{.p = 0}(image, draw); }) == busy);
        CHECK(changed(busy, [&](Image& image) { Grayscale{.p = 1}(image, draw); }) == expected("grayscale"));
        CHECK(changed(busy, [&](Image& image) { Solarize{.p = 0}(image, draw); }) == busy);
        CHECK(changed(busy, [&](Image& image) { Solarize{.p = 1}(image, draw); }) == expected("solarize/128"));
        CHECK(changed(busy, [&](Image& image) { ColorJitter{.p = 0}(image, draw); }) == busy);
        CHECK(!GaussianBlur{.p = 0}.draw(draw));
        const double sigma = GaussianBlur{.p = 1, .sigma = {0.5, 0.75}}.draw(draw).value();
        CHECK((sigma >= 0.5 && sigma < 0.75));
    }
    CHECK(difference(changed(busy, [](Image& image) { GaussianBlur{}.apply(image, 0.8); }),
                     expected("blur/gaussian/0.8")) <= 1);
}

TEST_CASE("every operation takes one-channel images and images of one pixel") {
    const std::vector<AnyOperation> all{RandomResizedCrop{.size = 9}, HorizontalFlip{.p = 1}, ColorJitter{.p = 1},
                                        Grayscale{.p = 1}, GaussianBlur{.p = 1}, Solarize{.p = 1}, Resize{.size = 9},
                                        CenterCrop{.size = 9}};
    for (const int channels : {1, 3})
        for (const int side : {1, 12})
            for (const auto& operation : all) {
                auto draw = stream(3);
                Image image(side, side, channels);
                operation(image, draw);
                CHECK(image.channels == channels);
                CHECK(image.pixels.size() == static_cast<std::size_t>(image.width * image.height * channels));
            }
}

TEST_CASE("an operation's draws depend on its stream alone") {
    const ColorJitter jitter{.p = 1};
    auto first = stream(5, 0), other_view = stream(5, 1), again = stream(5, 0);
    const double b = *jitter.draw(first)->brightness;
    CHECK(*jitter.draw(other_view)->brightness != b);
    CHECK(*jitter.draw(again)->brightness == b);
}

TEST_CASE("made_from gives what the operation gives in place, and any callable is an operation") {
    const std::vector<AnyOperation> all{RandomResizedCrop{.size = 9}, HorizontalFlip{.p = 1}, CenterCrop{.size = 5},
                                        [](Image& image, random::Stream& draw) {
                                            image::brightness(image, draw.uniform());
                                        }};
    for (const auto& operation : all) {
        const Image source = expected("source/busy");
        auto one = stream(4), two = stream(4);
        CHECK(operation.made_from(source, one) == changed(source, [&](Image& image) { operation(image, two); }));
        CHECK(source == expected("source/busy"));
    }
    CHECK(all.back().describe() == "custom");
}

TEST_CASE("operations describe themselves with their values") {
    CHECK(AnyOperation(RandomResizedCrop{.size = 32, .scale = {0.2, 1}, .ratio = {0.75, 1.5}}).describe() ==
          "random_resized_crop(size=32, scale=[0.2, 1], ratio=[0.75, 1.5], filter=bilinear)");
    CHECK(AnyOperation(HorizontalFlip{}).describe() == "horizontal_flip(p=0.5)");
    CHECK(AnyOperation(Solarize{.p = 0.1}).describe() == "solarize(p=0.1, threshold=128)");
}

TEST_CASE("wrong options are named when an operation enters a view") {
    const auto text = [](auto operation) { return test::message_of([&] { AnyOperation any(operation); }); };
    CHECK(test::mentions(text(RandomResizedCrop{.size = 0}), {"RandomResizedCrop", "size", "0"}));
    CHECK(test::mentions(text(RandomResizedCrop{.scale = {0.5, 0.2}}), {"RandomResizedCrop", "scale", "[0.5, 0.2]"}));
    CHECK(test::mentions(text(RandomResizedCrop{.ratio = {0, 1}}), {"RandomResizedCrop", "ratio", "[0, 1]"}));
    CHECK(test::mentions(text(HorizontalFlip{.p = 1.5}), {"HorizontalFlip", "1.5"}));
    CHECK(test::mentions(text(ColorJitter{.hue = 0.7}), {"ColorJitter", "hue", "0.7"}));
    CHECK(test::mentions(text(ColorJitter{.contrast = -1}), {"ColorJitter", "-1"}));
    CHECK(test::mentions(text(GaussianBlur{.sigma = {-1, 2}}), {"GaussianBlur", "[-1, 2]"}));
    CHECK(test::mentions(text(Solarize{.threshold = 300}), {"Solarize", "300"}));
    CHECK(test::mentions(text(CenterCrop{.size = -4}), {"CenterCrop", "-4"}));
}
