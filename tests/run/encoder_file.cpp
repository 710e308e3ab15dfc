// SPDX-License-Identifier: Apache-2.0
#include <doppel/run/encoder_file.hpp>
#include <doppel/views/simclr.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("any module's weights can be saved; what the metadata say comes from the pipeline, not from its size") {
    TemporaryFolder folder;
    const TinyNet net(4);
    for (const auto filter : {image::Filter::bilinear, image::Filter::bicubic}) {
        const augment::Pipeline pipeline({.size = 24,
                                          .operations = {augment::Resize{.size = 30, .filter = filter}, augment::CenterCrop{.size = 24}},
                                          .normalize = {.mean = {0.5f, 0.25f, 0.125f}, .std = {1, 2, 4}}});
        run::save_encoder(folder / "a.safetensors", *net, pipeline, {{"arch", "tiny"}});
        const auto file = io::load_safetensors(folder / "a.safetensors");
        CHECK(file.metadata.at("arch") == "tiny");
        CHECK(file.metadata.at("interpolation") == name_of(filter));
        CHECK(file.metadata.at("resize") == "30");
        CHECK(file.metadata.at("crop") == "24");
        CHECK(file.metadata.at("image_size") == "24");
        CHECK(file.metadata.at("mean") == "0.5,0.25,0.125");
        CHECK(file.metadata.at("std") == "1,2,4");
        CHECK(file.metadata.at("preprocessing") == pipeline.describe());
        CHECK(file.tensors.size() == net->named_parameters().size() + net->named_buffers().size());
    }
    // A pipeline without a resize claims none.
    const augment::Pipeline bare({.size = 8, .operations = {augment::CenterCrop{.size = 8}}});
    CHECK_FALSE(run::preprocessing_metadata(bare).contains("interpolation"));
}

TEST_CASE("saved weights load into an encoder of the same architecture, and into no other") {
    TemporaryFolder folder;
    TinyNet saved(4), other(4), wide(8);
    const auto file = folder / "a.safetensors";
    run::save_encoder(file, *saved, augment::Pipeline({.size = 8, .operations = {augment::CenterCrop{.size = 8}}}), {{"arch", "tiny"}});
    REQUIRE_FALSE(at::equal(saved->conv->weight, other->conv->weight));
    saved->bn->running_mean.fill_(3);
    CHECK(run::load_encoder(file, *other).at("arch") == "tiny");
    CHECK(at::equal(saved->conv->weight, other->conv->weight));
    CHECK(at::equal(other->bn->running_mean, at::zeros({4})));
    CHECK(other->conv->weight.requires_grad());

    const Tensor before = wide->conv->weight.detach().clone();
    CHECK(message_of([&] { run::load_encoder(file, *wide); }).ends_with("bn.bias has the shape [4], the encoder expects [8]"));
    CHECK(at::equal(wide->conv->weight, before));
    torch::nn::BatchNorm2d small(4);
    CHECK(message_of([&] { run::load_encoder(file, *small); }).ends_with("has no tensor bias, which the encoder needs"));
    torch::nn::Sequential none;
    CHECK(message_of([&] { run::load_encoder(file, *none); }).ends_with("has a tensor bn.bias, for which the encoder has no place"));
}
