// SPDX-License-Identifier: Apache-2.0
#include <doppel/encoders/resnet.hpp>
#include <doppel/losses/weighted_sum.hpp>
#include <doppel/methods/supcon.hpp>

#include "support/method_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("three steps of SupCon equal solo-learn's loss") {
    steps_as("variant_steps.txt", "supcon", methods::supcon(tiny(), tiny_heads(methods::SupconOptions{.norm = methods::ProjectorNorm::hidden})).recipe,
             {.loose = 5e-3, .lr = 0.01});
}

TEST_CASE("SupCon is SimCLR but for its loss") {
    trains(methods::supcon(tiny(), tiny_heads(methods::supcon_small)), two_views);
    is_trained_as(methods::supcon(tiny()), methods::simclr(tiny()), "supcon");
}

TEST_CASE("SupCon has the projector and the blocks of its authors' PyTorch code, and says that it uses labels") {
    // SupConResNet in networks/resnet_big.py of HobbitLong/SupContrast
    const auto preset = methods::supcon(encoders::ResNet{.depth = 50});
    CHECK(layers(*preset.recipe.projector.build(2048).module) == "Linear 2048 2048 bias | ReLU | Linear 2048 128 bias");
    CHECK(!preset.recipe.encoder.zero_init_residual);
    CHECK(AnyMethod(Method{methods::supcon(tiny()).recipe, {.seed = 1}}).uses_labels());
    CHECK(!AnyMethod(Method{methods::simclr(tiny()).recipe, {.seed = 1}}).uses_labels());
    const auto sum = methods::simclr(tiny()).recipe.with_loss(losses::Sum{losses::Weighted{1.0, losses::Supcon{}}});
    CHECK(AnyMethod(Method{sum, {.seed = 1}}).uses_labels());
}
