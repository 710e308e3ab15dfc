// SPDX-License-Identifier: Apache-2.0
#include <doppel/views/byol.hpp>
#include <doppel/views/dino.hpp>
#include <doppel/views/lejepa.hpp>
#include <doppel/views/mmcr.hpp>
#include <doppel/views/moco_v2.hpp>
#include <doppel/views/moco_v3.hpp>
#include <doppel/views/simclr.hpp>
#include <doppel/views/swav.hpp>
#include <doppel/views/views.hpp>

#include "support/views.hpp"

#include <algorithm>
#include <cmath>

using namespace doppel;
using namespace doppel::test;
using augment::Pipeline;

TEST_CASE("a view brings its source to its channels") {
    const auto color = views::simclr({.size = 16}), gray = views::simclr({.size = 16, .channels = 1});
    CHECK(gray.pipelines[0].values() == 256);
    const Image three = color.eval.render(expected("source/gray"), address(0, 0, 0));
    REQUIRE(three.channels == 3);
    const Image one = gray.eval.render(expected("source/busy"), address(0, 0, 0));
    REQUIRE(one.channels == 1);
    CHECK(image::with_channels(three, 1) == one);  // source/gray is the luma of source/busy
    CHECK(gray.pipelines[1].render(expected("source/busy"), address(0, 0, 1)).pixels.size() == 256);
}

TEST_CASE("views of bands have mean 0.5 and deviation 0.25 until they are given their own") {
    auto made = views::simclr({.size = 16, .channels = 4});
    CHECK(made.eval.channels() == 4);
    for (const auto* pipeline : {&made.eval, &made.pipelines[0], &made.pipelines[1]})
        CHECK(mentions(pipeline->describe(), {"mean=[0.5, 0.5, 0.5, 0.5]", "std=[0.25, 0.25, 0.25, 0.25]"}));
    made.normalize({.mean = {0.1, 0.2, 0.3, 0.4}, .std = {1, 2, 3, 4}});
    for (const auto* pipeline : {&made.eval, &made.pipelines[0], &made.pipelines[1]})
        CHECK(mentions(pipeline->describe(), {"mean=[0.1, 0.2, 0.3, 0.4]", "std=[1, 2, 3, 4]"}));
    Image bands(20, 16, 4);
    for (std::size_t i = 0; i < bands.pixels.size(); ++i) bands.pixels[i] = static_cast<std::uint8_t>(i * 7);
    CHECK(made.pipelines[0].render(bands, address(0, 0, 0)).shape() == Shape{16, 16, 4});
    CHECK(made.eval.render(bands, address(0, 0, 0)).shape() == Shape{16, 16, 4});
}

TEST_CASE("the evaluation pipeline is a fixed resize and center crop: to 256/224 of the size, below 64 px to the size") {
    CHECK(mentions(views::eval_pipeline({.size = 224}).describe(), {"resize(size=256", "center_crop(size=224)"}));
    CHECK(mentions(views::eval_pipeline({.size = 64}).describe(), {"resize(size=73", "center_crop(size=64)"}));
    CHECK(mentions(views::eval_pipeline({.size = 63}).describe(), {"resize(size=63", "center_crop(size=63)"}));
    const Pipeline eval = views::eval_pipeline({.size = 17});
    const Image& busy = expected("source/busy");  // of height 17
    CHECK(eval.render(busy, address(0, 1, 0)) == image::center_crop(busy, 17, 17));
    CHECK(eval.render(busy, address(5, 2, 3)) == eval.render(busy, address(0, 1, 0)));
}

TEST_CASE("a pipeline's description leaves out stages of probability 0 and follows its order") {
    const views::PipelineSpec spec{.size = 8, .jitter = {.p = 0}, .blur = {.p = 0},
                                   .order = {views::Stage::crop, views::Stage::gray, views::Stage::jitter, views::Stage::flip}};
    stands(views::pipeline(spec), {crop(8, "0.08, 1", "bilinear"), gray, flip, imagenet});
}

TEST_CASE("paper_spec is bilinear, without blur and of CIFAR-10's statistics below 64 px") {
    using image::Filter;
    const auto large = views::paper_spec({.size = 64, .min_scale = 0.2}, Filter::bicubic), small = views::paper_spec({.size = 63}, Filter::bicubic);
    stands(views::pipeline(large), {crop(64, "0.2, 1", "bicubic"), flip, jitter("0.4", "0.4", "0.4", "0.1", "0.8"), gray, blur("0.5"), imagenet});
    stands(views::pipeline(small), {crop(63, "0.08, 1", "bilinear"), flip, jitter("0.4", "0.4", "0.4", "0.1", "0.8"), gray, cifar});
    says([] { views::paper_spec({.min_scale = 0}, Filter::bilinear); }, {"min_scale", "above 0", "0"});
}

TEST_CASE("make_views puts global views first and evaluates as the first of them") {
    const views::PipelineSpec global{.size = 32, .channels = 1}, local{.size = 16, .channels = 1};
    const auto made = views::make_views("mine", {global, global}, {local});
    REQUIRE(made.pipelines.size() == 3);
    CHECK(made.name == "mine");
    CHECK(made.globals == 2);
    CHECK(made.pipelines[1].size() == 32);
    CHECK(made.pipelines[2].size() == 16);
    CHECK(made.eval.size() == 32);
    CHECK(made.eval.channels() == 1);
    says([] { views::make_views("mine", {}); }, {"mine", "at least one global view"});
}

TEST_CASE("images of one pixel, and very long ones, become views like any other") {
    const auto both = views::simclr({.size = 32});
    for (const auto& [width, height] : {std::pair(1, 1), {1, 3000}, {3000, 1}, {2, 7}, {4001, 3}}) {
        for (const int channels : {1, 3}) {
            Image image(width, height, channels);
            for (std::size_t p = 0; p < image.pixels.size(); ++p) image.pixels[p] = static_cast<std::uint8_t>(37 * p);
            INFO(width << " x " << height << " x " << channels);
            for (std::uint64_t i = 0; i < 8; ++i)
                for (const float value : look(both.pipelines[i % 2], image, address(0, i, i % 2))) REQUIRE(std::isfinite(value));
            for (const float value : look(both.eval, image, address(0, 0, 0))) REQUIRE(std::isfinite(value));
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
    CHECK(mentions(message_of([&] { changed.remove<Dark>(); }), {"simclr", "no pipeline has the operation"}));
    CHECK(text(views::simclr_small(16)).find("custom") == std::string::npos);  // copies share nothing that changes

    const views::Views listed{changed.pipelines[0], changed.pipelines[1]};
    CHECK(listed.globals == 2);
    CHECK(listed.eval.size() == 16);
    CHECK(mentions(message_of([] { views::Views none(std::vector<Pipeline>{}); }), {"at least one pipeline"}));
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
