// SPDX-License-Identifier: Apache-2.0
#include <doppel/views/views.hpp>
#include <doppel/weights/preprocessing.hpp>

#include "support/support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("a pipeline's metadata make the same pipeline again") {
    for (const int size : {32, 96, 224})
        for (const auto filter : {image::Filter::bilinear, image::Filter::bicubic})
            for (const int channels : {1, 3, 5}) {
                const auto pipeline = views::eval_pipeline({.size = size, .filter = filter, .normalize = views::normalize_for(channels, augment::cifar10_normalize), .channels = channels});
                const auto told = weights::preprocessing_of(weights::preprocessing_metadata(pipeline), "x");
                REQUIRE(told.has_value());
                CHECK(told->pipeline().describe() == pipeline.describe());
                CHECK(told->channels == channels);
            }
    CHECK_FALSE(weights::preprocessing_of({{"arch", "resnet18"}}, "x").has_value());
}

TEST_CASE("another size keeps the proportion of resize and crop") {
    const auto smaller = weights::Preprocessing{}.at(112);
    CHECK(smaller.size == 112);
    CHECK(smaller.resize == 128);
}

TEST_CASE("wrong metadata are told by their names") {
    const weights::Metadata good{{"image_size", "32"}, {"mean", "0,0,0"}, {"std", "1,1,1"}};
    const auto with = [&](const std::string& key, const std::string& value) {
        auto other = good;
        other[key] = value;
        return message_of([&] { weights::preprocessing_of(other, "weights: a.safetensors"); });
    };
    CHECK(with("image_size", "big") == "weights: a.safetensors: the metadata entry image_size is 'big', expected a number");
    CHECK(with("std", "1,x,1") == "weights: a.safetensors: the metadata entry std is 'x', expected a number");
    CHECK(with("interpolation", "lanczos").ends_with("images are to be resized with the filter 'lanczos', expected bilinear or bicubic"));
    CHECK(mentions(with("resize", "0"), {"at least 1", "32 and 0"}));
}

TEST_CASE("timm's config.json beside the weights is read, and another program's is none") {
    const TemporaryFolder folder;
    const auto file = folder / "model.safetensors";
    CHECK_FALSE(weights::preprocessing_beside(file).has_value());
    write_bytes(folder / "config.json", R"({"method": "simclr", "options": {}})");
    CHECK_FALSE(weights::preprocessing_beside(file).has_value());
    write_bytes(folder / "config.json", R"({"architecture": "vit_base_patch16_224", "pretrained_cfg": {"input_size": [3, 224, 224],
        "interpolation": "bicubic", "crop_pct": 0.9, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.5, 0.5]}})");
    const auto told = weights::preprocessing_beside(file);
    REQUIRE(told.has_value());
    CHECK(told->pipeline().describe() ==
          augment::Pipeline({.size = 224, .operations = {augment::Resize{.size = 248, .filter = image::Filter::bicubic}, augment::CenterCrop{.size = 224}},
                             .normalize = {.mean = {0.5, 0.5, 0.5}, .std = {0.25, 0.5, 0.5}}}).describe());
    write_bytes(folder / "config.json", "{");
    CHECK(mentions(message_of([&] { weights::preprocessing_beside(file); }), {"config.json", "cannot be read"}));
}
