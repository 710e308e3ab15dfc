// SPDX-License-Identifier: Apache-2.0
#include <doppel/weights/architecture.hpp>

#include "support/torch_support.hpp"
#include "support/weights.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

encoders::ByName told(const Tensors& tensors, const weights::Metadata& metadata = {}) {
    auto found = weights::named_encoder({.tensors = tensors}, "weights: a");
    return weights::architecture_of(found, metadata, "weights: a");
}

}  // namespace

TEST_CASE("a ResNet is told by its shapes: depth, width, stem and channels") {
    for (const std::int64_t depth : {18, 34, 50, 101})
        for (const double width : {0.125, 0.25})
            for (const Stem stem : {Stem::imagenet, Stem::cifar}) {
                const encoders::ResNet spec{.depth = depth, .stem = stem, .width = width, .channels = depth == 34 ? 1 : 3};
                const auto found = std::get<encoders::ResNet>(told(tensors_of(*spec.build())).spec);
                CHECK(found.depth == depth);
                CHECK(found.width == width);
                CHECK(found.stem == stem);
                CHECK(found.channels == spec.channels);
            }
    const auto strided = tensors_of(*encoders::ResNet{.depth = 18, .stem = Stem::strided, .width = 0.125}.build());
    CHECK(std::get<encoders::ResNet>(told(strided, {{"stem", "strided"}}).spec).stem == Stem::strided);
    CHECK(mentions(message_of([&] { told(strided, {{"stem", "round"}}); }), {"stem is 'round'", "imagenet, cifar or strided"}));
    auto found = weights::named_encoder({.tensors = strided}, "x");
    weights::architecture_of(found, {}, "x");
    CHECK(mentions(found.notes.at(0), {"3x3", "cifar stem"}));
}

TEST_CASE("a Vision Transformer is told by its shapes, its heads by metadata or 64 dimensions each") {
    const encoders::Vit spec{.kind = VitKind::ti, .patch = 4, .image_size = 24, .channels = 1, .depth = 2, .mlp_ratio = 3, .qkv_bias = false, .pool = VitPool::avg, .mask_token = true};
    const auto found = std::get<encoders::Vit>(told(tensors_of(*spec.build())).spec).resolved();
    CHECK(found.kind == VitKind::ti);
    CHECK(found.patch == 4);
    CHECK(found.image_size == 24);
    CHECK(found.channels == 1);
    CHECK(found.dim == 192);
    CHECK(found.depth == 2);
    CHECK(found.heads == 3);
    CHECK(found.mlp_ratio == 3);
    CHECK_FALSE(found.qkv_bias);
    CHECK(found.pool == VitPool::avg);
    CHECK(found.mask_token);
    const auto small = tensors_of(*encoders::Vit{.kind = VitKind::s, .patch = 16, .image_size = 32, .depth = 1, .heads = 12}.build());
    CHECK(std::get<encoders::Vit>(told(small).spec).heads == 6);
    CHECK(std::get<encoders::Vit>(told(small, {{"heads", "12"}}).spec).heads == 12);
    CHECK(std::get<encoders::Vit>(told(behind("module.base_encoder.", small)).spec).heads == 12);  // MoCo v3's
    CHECK(mentions(message_of([&] { told(small, {{"heads", "7"}}); }), {"heads must divide dim"}));
}

TEST_CASE("what doppel cannot build is told in a line") {
    auto net = tensors_of(*encoders::ResNet{.depth = 18, .width = 0.125}.build());
    auto deeper = net;
    deeper["layer4.2.conv1.weight"] = at::zeros({64, 64, 3, 3});
    CHECK(mentions(message_of([&] { told(deeper); }), {"2, 2, 2, 3 blocks", "18, 34, 50 and 101"}));
    auto wide = net;
    wide["layer1.0.conv2.weight"] = at::zeros({16, 16, 3, 3});
    CHECK(mentions(message_of([&] { told(wide); }), {"inner convolutions of 16 channels", "stem of 8", "ResNeXt"}));
    auto vit = tensors_of(*encoders::Vit{.kind = VitKind::ti, .patch = 4, .image_size = 8, .depth = 1}.build());
    auto without_class = vit;
    without_class["pos_embed"] = at::zeros({1, 4, 192});
    CHECK(mentions(message_of([&] { told(without_class); }), {"pos_embed has the shape [1, 4, 192]", "a class token and a square grid"}));
    vit.erase("blocks.0.mlp.fc1.weight");
    CHECK(mentions(message_of([&] { told(vit); }), {"has no tensor blocks.0.mlp.fc1.weight"}));
}
