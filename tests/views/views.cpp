// SPDX-License-Identifier: Apache-2.0
#include "reference/augment.hpp"

#include <doppel/views/byol.hpp>
#include <doppel/views/dino.hpp>
#include <doppel/views/lejepa.hpp>
#include <doppel/views/mmcr.hpp>
#include <doppel/views/moco_v2.hpp>
#include <doppel/views/moco_v3.hpp>
#include <doppel/views/multi_crop.hpp>
#include <doppel/views/simclr.hpp>
#include <doppel/views/swav.hpp>
#include <doppel/views/views.hpp>

#include <cmath>

using namespace doppel;
using augment::Pipeline;
using test::expected;

namespace {

random::Stream at(std::uint64_t epoch, std::uint64_t index, std::uint64_t view, std::uint64_t seed = 1) {
    return random::Stream({.seed = seed, .epoch = epoch, .index = index, .view = view});
}

std::vector<float> look(const Pipeline& view, const Image& image, const random::Stream& draw) {
    std::vector<float> out(view.values());
    view(image, draw, out);
    return out;
}

}  // namespace

TEST_CASE("a view is a pure function of seed, epoch, index and view number") {
    const auto both = views::simclr_small();
    const Image& busy = expected("source/busy");
    const auto first = look(both.pipelines[0], busy, at(3, 17, 0));
    for (std::uint64_t i = 0; i < 5; ++i) look(both.pipelines[1], busy, at(i, i, 1));  // others in between do not matter
    CHECK(look(both.pipelines[0], busy, at(3, 17, 0)) == first);
    CHECK(look(Pipeline(both.pipelines[0]), busy, at(3, 17, 0)) == first);
    CHECK(look(both.pipelines[1], busy, at(3, 17, 1)) != first);
    CHECK(look(both.pipelines[0], busy, at(4, 17, 0)) != first);
    CHECK(look(both.pipelines[0], busy, at(3, 18, 0)) != first);
    CHECK(look(both.pipelines[0], busy, at(3, 17, 0, 2)) != first);
}

TEST_CASE("the views of one image differ") {
    const auto both = views::simclr_small();
    const Pipeline only_crop({.size = 8, .operations = {augment::RandomResizedCrop{.size = 8}}});
    int equal = 0, equal_crops = 0;
    for (std::uint64_t i = 0; i < 50; ++i) {
        equal_crops += only_crop.render(expected("source/busy"), at(0, i, 0)) ==
                       only_crop.render(expected("source/busy"), at(0, i, 1));
        equal += both.pipelines[0].render(expected("source/busy"), at(0, i, 0)) ==
                 both.pipelines[1].render(expected("source/busy"), at(0, i, 1));
    }
    CHECK(equal == 0);
    CHECK(equal_crops == 0);
}

TEST_CASE("a view writes planes of (x/255 - mean) / std") {
    Image pixels(2, 2, 3);
    for (std::size_t i = 0; i < 12; ++i) pixels.pixels[i] = static_cast<std::uint8_t>(20 * i);
    const augment::Normalize by{.mean = {0.5, 0.25, 0.1}, .std = {0.5, 0.2, 2}};
    const auto out = look(Pipeline({.size = 2, .normalize = by}), pixels, at(0, 0, 0));
    REQUIRE(out.size() == 12);
    for (std::size_t c = 0; c < 3; ++c)
        for (std::size_t i = 0; i < 4; ++i)
            CHECK(out[4 * c + i] == Approx((pixels.pixels[3 * i + c] / 255.0 - by.mean[c]) / by.std[c]).margin(1e-6));
}

TEST_CASE("render is the view before normalization") {
    const Pipeline view = views::simclr({.size = 16, .normalize = augment::unit_normalize}).pipelines[0];
    const Image image = view.render(expected("source/busy"), at(1, 2, 0));
    const auto out = look(view, expected("source/busy"), at(1, 2, 0));
    REQUIRE(image.pixels.size() == out.size());
    for (std::size_t c = 0; c < 3; ++c)
        for (std::size_t i = 0; i < 256; ++i)
            CHECK(out[256 * c + i] * 255 == Approx(image.pixels[3 * i + c]).margin(1e-3));
}

TEST_CASE("a view brings its source to its channels") {
    const auto color = views::simclr({.size = 16}), gray = views::simclr({.size = 16, .channels = 1});
    CHECK(gray.pipelines[0].values() == 256);
    const Image three = color.eval.render(expected("source/gray"), at(0, 0, 0));
    REQUIRE(three.channels == 3);
    const Image one = gray.eval.render(expected("source/busy"), at(0, 0, 0));
    REQUIRE(one.channels == 1);
    CHECK(image::with_channels(three, 1) == one);  // source/gray is the luma of source/busy
    CHECK(gray.pipelines[1].render(expected("source/busy"), at(0, 0, 1)).pixels.size() == 256);
}

TEST_CASE("operations act in the order they stand in") {
    const auto half = [](Image& image, random::Stream&) { image::brightness(image, 0.5); };
    const Pipeline solar_last({.size = 1, .operations = {half, augment::Solarize{.p = 1}}, .channels = 1});
    const Pipeline solar_first({.size = 1, .operations = {augment::Solarize{.p = 1}, half}, .channels = 1});
    Image pixel(1, 1, 1);
    pixel.pixels = {200};
    CHECK(solar_last.render(pixel, at(0, 0, 0)).pixels[0] == 100);
    CHECK(solar_first.render(pixel, at(0, 0, 0)).pixels[0] == 27);
    CHECK(pixel.pixels[0] == 200);
}

TEST_CASE("simclr stands in the paper's order with the paper's values") {
    const auto pair = views::simclr({.strength = 0.5});
    CHECK(pair.name == "simclr");
    CHECK(pair.pipelines.size() == 2);
    CHECK(pair.globals == 2);
    CHECK(pair.pipelines[0].size() == 224);
    CHECK(pair.pipelines[0].channels() == 3);
    CHECK(pair.pipelines[0].describe() ==
          "random_resized_crop(size=224, scale=[0.08, 1], ratio=[0.75, 1.33333], filter=bicubic) > "
          "horizontal_flip(p=0.5) > color_jitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, p=0.8) > "
          "grayscale(p=0.2) > gaussian_blur(p=0.5, sigma=[0.1, 2], kind=gaussian) > "
          "normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])");
}

TEST_CASE("simclr_small has CIFAR's values and no blur") {
    const auto pair = views::simclr_small();
    CHECK(pair.pipelines[0].size() == 32);
    CHECK(pair.pipelines[0].describe() ==
          "random_resized_crop(size=32, scale=[0.08, 1], ratio=[0.75, 1.33333], filter=bilinear) > "
          "horizontal_flip(p=0.5) > color_jitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, p=0.8) > "
          "grayscale(p=0.2) > normalize(mean=[0.4914, 0.4822, 0.4465], std=[0.2023, 0.1994, 0.201])");
    CHECK(pair.eval.normalize() == augment::cifar10_normalize);
}

TEST_CASE("every pipeline blurs by a sampled Gaussian, or as Pillow does") {
    for (const bool pillow : {false, true}) {
        const views::CropOptions o{.pillow_blur = pillow};
        const std::string kind = pillow ? "kind=boxes" : "kind=gaussian", other = pillow ? "kind=gaussian" : "kind=boxes";
        for (const auto& made : {views::byol(o), views::dino({.pillow_blur = pillow}), views::lejepa({.crops = o}), views::mmcr(o),
                                 views::moco_v2(o), views::moco_v3(o), views::swav({.crops = o}),
                                 views::simclr({.blur_kind = pillow ? image::Blur::boxes : image::Blur::gaussian})})
            for (const auto& pipeline : made.pipelines) {
                INFO(made.name);
                CHECK(pipeline.describe().find(kind) != std::string::npos);
                CHECK(pipeline.describe().find(other) == std::string::npos);
            }
    }
}

TEST_CASE("the plain view is a fixed resize and center crop") {
    CHECK(test::mentions(views::simclr().eval.describe(), {"resize(size=256", "center_crop(size=224)"}));
    CHECK(test::mentions(views::simclr_small().eval.describe(), {"resize(size=32", "center_crop(size=32)"}));
    const Pipeline plain = views::simclr({.size = 17}).eval;
    const Image& busy = expected("source/busy");
    CHECK(plain.render(busy, at(0, 1, 0)) == image::center_crop(busy, 17, 17));
    CHECK(plain.render(busy, at(5, 2, 3)) == plain.render(busy, at(0, 1, 0)));
}

TEST_CASE("multi_crop has global views first, then local ones of their own size and area") {
    const auto crops = views::multi_crop({.global_size = 32, .local_size = 16, .globals = 2, .locals = 3});
    REQUIRE(crops.pipelines.size() == 5);
    CHECK(crops.globals == 2);
    CHECK(crops.eval.size() == 32);
    for (std::size_t v = 0; v < 5; ++v) {
        CHECK(crops.pipelines[v].size() == (v < 2 ? 32 : 16));
        CHECK(test::mentions(crops.pipelines[v].describe(), {v < 2 ? "scale=[0.4, 1]" : "scale=[0.05, 0.4]"}));
        CHECK(look(crops.pipelines[v], expected("source/busy"), at(0, 0, v)).size() == (v < 2 ? 3072U : 768U));
    }
}

TEST_CASE("a line leaves out stages of probability 0 and follows its order") {
    const views::PipelineSpec line{.size = 8, .jitter = {.p = 0}, .blur = {.p = 0},
                           .order = {views::Stage::crop, views::Stage::gray, views::Stage::jitter, views::Stage::flip}};
    CHECK(views::pipeline(line).describe() ==
          "random_resized_crop(size=8, scale=[0.08, 1], ratio=[0.75, 1.33333], filter=bilinear) > grayscale(p=0.2) > "
          "horizontal_flip(p=0.5) > normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])");
}

TEST_CASE("views say what is wrong") {
    const Image& busy = expected("source/busy");
    CHECK(test::mentions(test::message_of([&] { look(Pipeline({.size = 9}), busy, at(0, 0, 0)); }),
                         {"Pipeline", "9x9x3", "24x17x3"}));
    CHECK(test::mentions(test::message_of([] { Pipeline({.size = 0}); }), {"Pipeline", "size", "0"}));
    CHECK(test::mentions(test::message_of([] { Pipeline({.size = 4, .channels = 2}); }), {"Pipeline", "channels", "2"}));
    CHECK(test::mentions(test::message_of([] { Pipeline({.normalize = {.std = {1, 0, 1}}}); }), {"Normalize", "std", "0"}));
    CHECK(test::mentions(test::message_of([&] { Pipeline().render(busy, at(0, 0, 0)); }), {"Pipeline", "default"}));
    std::vector<float> small(3);
    CHECK(test::mentions(test::message_of([&] { views::simclr_small().eval(busy, at(0, 0, 0), small); }),
                         {"Pipeline", "3072", "3"}));
    CHECK(test::mentions(test::message_of([] { views::simclr({.strength = -1}); }), {"simclr", "strength", "-1"}));
    CHECK(test::mentions(test::message_of([] { views::simclr({.blur = 2}); }), {"GaussianBlur", "2"}));
    CHECK(test::mentions(test::message_of([] { views::simclr({.views = 0}); }), {"simclr", "views", "0"}));
    CHECK(test::mentions(test::message_of([] { views::multi_crop({.globals = 0}); }), {"multi_crop", "0"}));
}

TEST_CASE("images of one pixel, and very long ones, become views like any other") {
    const auto both = views::simclr({.size = 32});
    for (const auto& [width, height] : {std::pair(1, 1), {1, 3000}, {20000, 1}, {2, 7}, {4001, 3}}) {
        for (const int channels : {1, 3}) {
            Image image(width, height, channels);
            for (std::size_t p = 0; p < image.pixels.size(); ++p) image.pixels[p] = static_cast<std::uint8_t>(37 * p);
            INFO(width << " x " << height << " x " << channels);
            for (std::uint64_t i = 0; i < 8; ++i)
                for (const float value : look(both.pipelines[i % 2], image, at(0, i, i % 2))) REQUIRE(std::isfinite(value));
            for (const float value : look(both.eval, image, at(0, 0, 0))) REQUIRE(std::isfinite(value));
        }
    }
}

TEST_CASE("a pipeline's operations can be inserted, replaced and removed by type") {
    struct Dark {
        void operator()(Image& image, random::Stream&) const { std::fill(image.pixels.begin(), image.pixels.end(), std::uint8_t{1}); }
        std::string describe() const { return "dark"; }
    };
    const auto text = [](const views::Views& views, std::size_t v = 0) { return views.pipelines.at(v).describe(); };
    auto changed = views::simclr_small(16);
    changed.insert_after<augment::ColorJitter>(Dark{});
    CHECK(text(changed).find("p=0.8) > dark > grayscale") != std::string::npos);
    CHECK(text(changed, 1) == text(changed));
    changed.insert_before<Dark>([](Image&, random::Stream&) {});
    CHECK(text(changed).find("> custom > dark > grayscale") != std::string::npos);
    changed.replace<augment::Grayscale>(augment::Grayscale{.p = 1});
    CHECK(text(changed).find("grayscale(p=1)") != std::string::npos);
    CHECK(text(changed).find("grayscale(p=0.2)") == std::string::npos);
    changed.remove<Dark>().remove<augment::HorizontalFlip>();
    CHECK(text(changed).find("dark") == std::string::npos);
    CHECK(text(changed).find("flip") == std::string::npos);
    CHECK(test::mentions(test::message_of([&] { changed.remove<Dark>(); }), {"simclr", "no pipeline has the operation"}));
    CHECK(text(views::simclr_small(16)).find("custom") == std::string::npos);  // copies share nothing that changes

    const views::Views listed{changed.pipelines[0], changed.pipelines[1]};
    CHECK(listed.globals == 2);
    CHECK(listed.eval.size() == 16);
    CHECK(test::mentions(test::message_of([] { views::Views none(std::vector<Pipeline>{}); }), {"at least one pipeline"}));
}
