// SPDX-License-Identifier: Apache-2.0
// Short trainings with and without what keeps embeddings apart: those without collapse, and the monitor says so.
#include <doppel/data/embedded.hpp>
#include <doppel/methods/byol.hpp>
#include <doppel/methods/moco.hpp>
#include <doppel/methods/moco_v3.hpp>
#include <doppel/methods/simsiam.hpp>
#include <doppel/train/trainer.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

/// A network that is large enough to collapse, and to learn.
struct SmallNetImpl : torch::nn::Module {
    torch::nn::Sequential layers;
    SmallNetImpl() {
        for (std::int64_t in = 3, out = 16; out <= 64; in = out, out *= 2) {
            layers->push_back(torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 3).stride(2).padding(1).bias(false)));
            layers->push_back(torch::nn::BatchNorm2d(out));
            layers->push_back(torch::nn::ReLU());
        }
        register_module("layers", layers);
    }
    Tensor forward(const Tensor& images) { return layers->forward(images).mean({2, 3}); }
    std::int64_t feature_dim() const { return 64; }
};
TORCH_MODULE(SmallNet);

const auto encoder = [] { return SmallNet(); };

/// SimSiam's and, but for scale and offset, BYOL's loss without stop-gradient.
const auto cosine_both_ways = [](const Tensor& p, const Tensor& z) { return -at::cosine_similarity(p, z).mean(); };

/// Trains for 16 steps an epoch; true when the monitor said that the embeddings have collapsed.
template <class R>
bool collapses(const Preset<R>& preset, std::int64_t epochs) {
    const AnyMethod method = Method{preset.recipe, {.seed = 1}};
    return train::train(method, data::Embedded({.size = 16, .count = 512}), train::plan_of(preset),
                        {.epochs = epochs, .batch_size = 32, .seed = 1, .progress = train::ProgressMode::off})
        .collapsed;
}

auto simsiam() {
    auto options = methods::simsiam_small();
    options.size = 16;
    options.batch_size = 32;
    options.out = 64;
    options.bottleneck = 16;
    options.base_lr = 2;                // so that what collapses does so soon
    options.fix_predictor_lr = false;   // a rule for the predictor's rate needs a predictor
    return methods::simsiam(encoder, options);
}

auto byol() {
    auto options = methods::byol_small();
    options.size = 16;
    options.batch_size = 32;
    options.hidden = 64;
    options.out = 32;
    return methods::byol(encoder, options);
}

}  // namespace

TEST_CASE("SimSiam learns without collapse; without its predictor or its stop-gradient it collapses") {
    const auto whole = simsiam();
    CHECK_FALSE(collapses(whole, 120));
    CHECK(collapses(with_recipe(whole, "no predictor", with_predictor(whole.recipe, None{})), 120));
    CHECK(collapses(with_recipe(whole, "no stop-gradient",
                                with_target(with_loss(whole.recipe, cosine_both_ways), targets::Shared{})), 120));
}

TEST_CASE("BYOL learns without collapse; without its predictor, or its Ema and stop-gradient, it collapses") {
    const auto whole = byol();
    CHECK_FALSE(collapses(whole, 40));
    CHECK(collapses(with_recipe(whole, "no predictor", with_predictor(whole.recipe, None{})), 40));
    CHECK(collapses(with_recipe(whole, "no Ema", with_target(with_loss(whole.recipe, cosine_both_ways), targets::Shared{})), 40));
}

TEST_CASE("the other presets with a target learn without collapse") {
    auto moco = methods::moco_small();
    moco.size = 16;
    moco.batch_size = 32;
    moco.queue = 128;
    moco.hidden = 64;
    moco.out = 32;
    CHECK_FALSE(collapses(methods::moco_v1(encoder, moco), 16));
    CHECK_FALSE(collapses(methods::moco_v2(encoder, moco), 16));
    auto v3 = methods::moco_v3_small();
    v3.size = 16;
    v3.batch_size = 32;
    v3.hidden = 64;
    v3.out = 32;
    CHECK_FALSE(collapses(methods::moco_v3(encoder, v3), 16));
}
