// SPDX-License-Identifier: Apache-2.0
// Short trainings with and without what keeps embeddings apart: those without collapse, and the monitor says so.
#include <doppel/data/embedded.hpp>
#include <doppel/data/memory.hpp>
#include <doppel/methods/byol.hpp>
#include <doppel/methods/moco_v2.hpp>
#include <doppel/methods/moco_v3.hpp>
#include <doppel/methods/simsiam.hpp>
#include <doppel/train/callbacks/collapse_watch.hpp>
#include <doppel/train/train.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

/// Two layers with BatchNorm: the least in which what should collapse does, and the rest learns.
struct SmallNetImpl : torch::nn::Module {
    torch::nn::Sequential layers;
    SmallNetImpl() {
        for (std::int64_t in = 3, out = 16; out <= 32; in = out, out *= 2) {
            layers->push_back(torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 3).stride(2).padding(1).bias(false)));
            layers->push_back(torch::nn::BatchNorm2d(out));
            layers->push_back(torch::nn::ReLU());
        }
        register_module("layers", layers);
    }
    Tensor forward(const Tensor& images) { return layers->forward(images).mean({2, 3}); }
    std::int64_t feature_dim() const { return 32; }
};
TORCH_MODULE(SmallNet);

const auto encoder = [] { return SmallNet(); };

/// SimSiam's and, but for scale and offset, BYOL's loss without stop-gradient.
const auto cosine_both_ways = [](const Tensor& p, const Tensor& z) { return -at::cosine_similarity(p, z).mean(); };

/// Views of 8 px and batches of 16: a step of two or three ms.
template <class Options>
Options small(Options options) {
    options.crops.size = 8;
    options.train.batch_size = 16;
    return options;
}

/// Trains for 16 steps an epoch; true when the monitor said that the embeddings have collapsed: that five of its 50 samples
/// in a row had a spread below 0.1 or an effective rank below 2.
template <class R>
bool collapses(Preset<R> preset, std::int64_t epochs) {
    static const data::Dataset images = data::in_memory(data::Embedded({.size = 8, .count = 256}));
    preset.epochs = epochs;
    train::Trainer trainer(preset, images, {.seed = 1, .device = "cpu"});
    return train::run(trainer, train::CollapseWatch{}).collapsed;
}

}  // namespace

// The rate is ten times simsiam_small's, so that 48 epochs are enough. Measured with seeds 1 to 3: no sample of the whole method
// has a rank below 2.5; what lacks a part is found after at most 0.74 of the run, with 7 to 22 collapsed samples in a row.
TEST_CASE("SimSiam learns without collapse; without its predictor or its stop-gradient it collapses") {
    auto options = small(methods::simsiam_small);
    options.out = 64;
    options.bottleneck = 16;
    options.train.base_lr = 6;
    options.fix_predictor_lr = false;  // a rule for the predictor's rate needs a predictor
    const auto whole = methods::simsiam(encoder, options);
    CHECK_FALSE(collapses(whole, 48));
    CHECK(collapses(whole.with_predictor("no predictor", None{}), 48));
    CHECK(collapses(whole.with_loss("no stop-gradient", cosine_both_ways).with_target("no stop-gradient", targets::Shared{}), 48));
}

// The rate is twice byol_small's, so that 24 epochs are enough. Measured with seeds 1 to 3: no sample of the whole has a spread
// below 0.73; what lacks a part is found after at most 0.76 of the run, with 14 to 31 collapsed samples in a row.
TEST_CASE("BYOL learns without collapse; without its predictor, or its Ema and stop-gradient, it collapses") {
    auto options = small(methods::byol_small);
    options.hidden = 64;
    options.out = 32;
    options.train.base_lr = 4;
    const auto whole = methods::byol(encoder, options);
    CHECK_FALSE(collapses(whole, 24));
    CHECK(collapses(whole.with_predictor("no predictor", None{}), 24));
    CHECK(collapses(whole.with_loss("no Ema", cosine_both_ways).with_target("no Ema", targets::Shared{}), 24));
}

// Negatives keep these apart whatever their target does: nothing that could be taken out makes them collapse. Their spread is
// smallest at the start (measured with seeds 1 to 3: 0.21 and more, the monitor's limit being 0.1). MoCo v1 is v2 with another
// head and other views.
TEST_CASE("MoCo's presets learn without collapse") {
    auto v2 = small(methods::moco_v2_small);
    v2.queue = 128;
    v2.hidden = 64;
    v2.out = 32;
    CHECK_FALSE(collapses(methods::moco_v2(encoder, v2), 16));
    auto v3 = small(methods::moco_v3_small);
    v3.hidden = 64;
    v3.out = 32;
    CHECK_FALSE(collapses(methods::moco_v3(encoder, v3), 16));
}
