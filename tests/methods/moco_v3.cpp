// SPDX-License-Identifier: Apache-2.0
#include <doppel/encoders/by_name.hpp>
#include <doppel/methods/moco_v3.hpp>

#include "support/method_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

/// An encoder that methods::moco_v3 takes for a Vision Transformer.
struct TransformerLike {
    VitPositions positions = VitPositions::learned;
    VitInit init = VitInit::dino;
    bool frozen_patches = false;
    TinyNet build() const { return TinyNet(8); }
};

template <class Encoder>
auto small_moco_v3(Encoder encoder, double temperature = 1) {
    return methods::moco_v3(std::move(encoder), {.temperature = temperature, .momentum = 0.99, .hidden = 16, .out = 12})
        .recipe;
}

}  // namespace

TEST_CASE("three steps of MoCo v3 equal those of lightly's parts, as for a ResNet and as for a ViT") {
    steps_as("method_steps.txt", "moco_v3", small_moco_v3(tiny()), {.tight = 1e-10, .loose = 2e-3});
    steps_as("method_steps.txt", "moco_v3_vit", small_moco_v3(TransformerLike{}, 0.2), {.tight = 1e-10, .loose = 1e-2});
}

TEST_CASE("MoCo v3's target follows m xi + (1 - m) theta by name, with the weights of before the update") {
    follows(small_moco_v3(tiny()), targets::EmaTiming::before_forward);
    CHECK(small_moco_v3(tiny()).target.timing == targets::EmaTiming::before_forward);
    rises_to_one(methods::moco_v3(tiny()).recipe.target.schedule, 0.99);
}

TEST_CASE("nothing flows back into MoCo v3's target, and predictions are made by the online branch alone") {
    gives_its_target_no_gradient(small_moco_v3(tiny()));
    gives_its_target_no_gradient(small_moco_v3(TransformerLike{}));
}

TEST_CASE("MoCo v3's heads are the authors', for a ResNet and for a ViT") {
    const auto resnet = methods::moco_v3(encoders::ResNet{.depth = 50}).recipe;
    CHECK(layers(*resnet.projector.build(2048).module) ==
          "Linear 2048 4096 | BatchNorm 4096 | ReLU | Linear 4096 256 | BatchNorm 256 plain");
    CHECK(layers(*resnet.predictor.build(256).module) == "Linear 256 4096 | BatchNorm 4096 | ReLU | Linear 4096 256");
    CHECK(resnet.loss.temperature == 1);
    CHECK(resnet.encoder.zero_init_residual);

    const auto vit = methods::moco_v3(encoders::Vit{.kind = VitKind::s, .heads = 12}, methods::moco_v3_vit).recipe;
    const std::string projector =
        "Linear 384 4096 | BatchNorm 4096 | ReLU | Linear 4096 4096 | BatchNorm 4096 | ReLU | "
        "Linear 4096 256 | BatchNorm 256 plain";
    const std::string predictor = "Linear 256 4096 | BatchNorm 4096 | ReLU | Linear 4096 256 | BatchNorm 256 plain";
    CHECK(layers(*vit.projector.build(384).module) == projector);
    CHECK(layers(*vit.predictor.build(256).module) == predictor);
    CHECK(vit.loss.temperature == 0.2);
    CHECK(vit.encoder.frozen_patches);
    CHECK(vit.encoder.positions == VitPositions::sin_cos);
    CHECK(vit.encoder.init == VitInit::moco_v3);
    CHECK(peak_epoch(methods::moco_v3(encoders::Vit{}, methods::moco_v3_vit)) == 40);
    // The authors' ViT-S has 12 heads, as vits.py says.
    const auto named = methods::moco_v3(encoders::from_name("vit_s16h12", 224), methods::moco_v3_vit).recipe;
    CHECK(std::get<encoders::Vit>(named.encoder.spec).resolved().heads == 12);
    // the same where the encoder is chosen at run time
    CHECK(layers(*methods::moco_v3(encoders::ByName(encoders::Vit{}), {.hidden = 6, .out = 4})
                      .recipe.predictor.build(4)
                      .module) == "Linear 4 6 | BatchNorm 6 | ReLU | Linear 6 4 | BatchNorm 4 plain");
    CHECK(layers(*methods::moco_v3(encoders::ByName(encoders::ResNet{}), {.hidden = 6, .out = 4})
                      .recipe.predictor.build(4)
                      .module) == "Linear 4 6 | BatchNorm 6 | ReLU | Linear 6 4");
}
