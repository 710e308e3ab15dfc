// SPDX-License-Identifier: Apache-2.0
#include <doppel/weights/encoder_file.hpp>
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
        weights::save_encoder(folder / "a.safetensors", *net, pipeline, {{"arch", "tiny"}});
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
    CHECK_FALSE(weights::preprocessing_metadata(bare).contains("interpolation"));
}
