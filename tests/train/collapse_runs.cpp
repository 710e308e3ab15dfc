// SPDX-License-Identifier: Apache-2.0
// Short trainings with and without what keeps embeddings apart: those without collapse, and the monitor says so.
#include <doppel/data/embedded.hpp>
#include <doppel/methods/byol.hpp>
#include <doppel/methods/moco_v1.hpp>
#include <doppel/methods/moco_v2.hpp>
#include <doppel/methods/moco_v3.hpp>
#include <doppel/methods/simsiam.hpp>
#include <doppel/train/callbacks/collapse_watch.hpp>
#include <doppel/train/train.hpp>

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
bool collapses(Preset<R> preset, std::int64_t epochs) {
    preset.epochs = epochs;
    train::Trainer trainer(preset, data::Embedded({.size = 16, .count = 512}), {.seed = 1, .device = "cpu"});
    return train::run(trainer, train::CollapseWatch{}).collapsed;
}

auto simsiam() {
    auto options = methods::simsiam_small;
    options.crops.size = 16;
    options.train.batch_size = 32;
    options.out = 64;
    options.bottleneck = 16;
    options.train.base_lr = 2;          // so that what collapses does so soon
    options.fix_predictor_lr = false;   // a rule for the predictor's rate needs a predictor
    return methods::simsiam(encoder, options);
}

auto byol() {
    auto options = methods::byol_small;
    options.crops.size = 16;
    options.train.batch_size = 32;
    options.hidden = 64;
    options.out = 32;
    return methods::byol(encoder, options);
}

}  // namespace

TEST_CASE("SimSiam learns without collapse; without its predictor or its stop-gradient it collapses") {
    const auto whole = simsiam();
    CHECK_FALSE(collapses(whole, 120));
    CHECK(collapses(whole.with_predictor("no predictor", None{}), 120));
    CHECK(collapses(whole.with_loss("no stop-gradient", cosine_both_ways).with_target("no stop-gradient", targets::Shared{}), 120));
}

TEST_CASE("BYOL learns without collapse; without its predictor, or its Ema and stop-gradient, it collapses") {
    const auto whole = byol();
    CHECK_FALSE(collapses(whole, 40));
    CHECK(collapses(whole.with_predictor("no predictor", None{}), 40));
    CHECK(collapses(whole.with_loss("no Ema", cosine_both_ways).with_target("no Ema", targets::Shared{}), 40));
}

TEST_CASE("the other presets with a target learn without collapse") {
    const auto small = [](auto options) {
        options.crops.size = 16;
        options.train.batch_size = 32;
        options.hidden = 64;
        options.out = 32;
        return options;
    };
    auto v1 = methods::moco_v1_small;
    v1.crops.size = 16;
    v1.train.batch_size = 32;
    v1.queue = 128;
    v1.out = 32;
    CHECK_FALSE(collapses(methods::moco_v1(encoder, v1), 16));
    auto v2 = small(methods::moco_v2_small);
    v2.queue = 128;
    CHECK_FALSE(collapses(methods::moco_v2(encoder, v2), 16));
    CHECK_FALSE(collapses(methods::moco_v3(encoder, small(methods::moco_v3_small)), 16));
}
