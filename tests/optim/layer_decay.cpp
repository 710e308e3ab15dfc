// SPDX-License-Identifier: Apache-2.0
// Learning rates by layer: of the shipped encoders, and of names from elsewhere.
#include <doppel/encoders/resnet.hpp>
#include <doppel/encoders/vit.hpp>
#include <doppel/optim/layer_decay.hpp>

#include "support/torch_support.hpp"

#include <cmath>
#include <map>

using namespace doppel;
using namespace doppel::test;

namespace {

optim::NamedParameters parameters_of(const torch::nn::Module& module) {
    optim::NamedParameters list;
    for (const auto& item : module.named_parameters()) list.emplace_back(item.key(), item.value());
    return list;
}

/// The factor of each parameter's learning rate, by name; its weight decay must be that of its shape.
std::map<std::string, double> scales(const optim::NamedParameters& encoder, double decay) {
    const Tensor weight = at::zeros({3, 4}), bias = at::zeros({3});
    std::map<std::string, double> found;
    for (const auto& group : optim::layer_decay(encoder, {{"head.weight", weight}, {"head.bias", bias}}, decay, 0.05))
        for (const auto& [name, parameter] : group.parameters) {
            found[name] = group.lr_scale;
            CHECK(group.weight_decay == (parameter.dim() <= 1 ? 0 : 0.05));
        }
    CHECK(found.size() == encoder.size() + 2);
    return found;
}

}  // namespace

TEST_CASE("a Vision Transformer's rates fall from block to block, as in MAE's fine-tuning") {
    const auto net = encoders::Vit{.patch = 4, .image_size = 8, .dim = 8, .depth = 12, .heads = 2}.build();
    const auto found = scales(parameters_of(*net), 0.75);
    for (const auto* name : {"cls_token", "pos_embed", "patch_embed.proj.weight"})
        CHECK(found.at(name) == Approx(std::pow(0.75, 13)));
    for (int i = 0; i < 12; ++i)
        for (const auto* part : {".attn.qkv.weight", ".norm1.bias", ".mlp.fc2.weight"})
            CHECK(found.at("blocks." + std::to_string(i) + part) == Approx(std::pow(0.75, 12 - i)));
    for (const auto* name : {"norm.weight", "norm.bias", "head.weight", "head.bias"}) CHECK(found.at(name) == 1);
}

TEST_CASE("a ResNet's rates fall from stage to stage") {
    const auto net = encoders::ResNet{.depth = 18, .width = 0.125}.build();
    const auto found = scales(parameters_of(*net), 0.5);
    CHECK(found.at("conv1.weight") == 1.0 / 32);
    CHECK(found.at("bn1.bias") == 1.0 / 32);
    for (int stage = 1; stage <= 4; ++stage)
        CHECK(found.at("layer" + std::to_string(stage) + ".1.conv2.weight") == std::pow(0.5, 5 - stage));
    CHECK(found.at("head.weight") == 1);
}

TEST_CASE(
    "torchvision's Vision Transformer and a Sequential are known by their numbers; names without any need a decay of "
    "1") {
    const Tensor w = at::zeros({2, 2});
    const auto theirs = scales({{"class_token", w},
                                {"conv_proj.weight", w},
                                {"encoder.layers.encoder_layer_0.ln_1.weight", w},
                                {"encoder.layers.encoder_layer_1.mlp.0.weight", w},
                                {"encoder.ln.weight", w}},
                               0.5);
    CHECK(theirs.at("class_token") == 0.125);
    CHECK(theirs.at("conv_proj.weight") == 0.125);
    CHECK(theirs.at("encoder.layers.encoder_layer_0.ln_1.weight") == 0.25);
    CHECK(theirs.at("encoder.layers.encoder_layer_1.mlp.0.weight") == 0.5);
    CHECK(theirs.at("encoder.ln.weight") == 1);
    CHECK(scales({{"0.weight", w}, {"2.weight", w}}, 0.5).at("2.weight") == 0.5);
    const optim::NamedParameters unnumbered{{"conv1.weight", w}, {"fc.weight", w}};
    CHECK(scales(unnumbered, 1).at("conv1.weight") == 1);
    CHECK(mentions(message_of([&] { optim::layer_decay(unnumbered, {}, 0.75, 0); }), {"'conv1.weight'", "decay of 1"}));
    CHECK(mentions(message_of([&] { optim::layer_decay(unnumbered, {}, 0, 0); }), {"above 0", "got 0"}));
}
