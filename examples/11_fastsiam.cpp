// SPDX-License-Identifier: Apache-2.0
// Lesson 11: a method that the library does not have.
//
// FastSiam is SimSiam with four views: the prediction of each view meets the mean of the other views' projections. The
// mean varies less than a single view, so the target is steadier, and small batches and short runs are enough.
// Source: Pototzky, Sultan, Schmidt-Thieme, "FastSiam: Resource-Efficient Self-supervised Learning on a Single GPU",
// 2022, GCPR.
//
// To write a method from its paper, ask for each slot: which encoder, projector, predictor? What is the target (the
// same weights, without gradient, an EMA)? A queue? What does the loss compare? Where it is a known method in all slots
// but one, start from that method's preset, as here. A loss that needs more than a pair of views takes Outputs:
//
//     online[v]   predictor's output for view v [N, D]     target[v]   the target branch's, here without gradient
//
// For a method from scratch fill a Recipe and a Preset:
//
//     Preset mine{.name = "mine", .recipe = Recipe{.encoder = …, .loss = …}, .views = …, .optimizer = …, .lr = 0.1};
//
//     ./run example 11 [EPOCHS]
//
// Next: make it a program with a command line (lesson 1): an options struct with fields(), and methods::method_entry.
#include <doppel/data/embedded.hpp>
#include <doppel/encoders/resnet.hpp>
#include <doppel/methods/simsiam.hpp>
#include <doppel/run/run.hpp>

#include <cstdlib>
using namespace doppel;

/// L = −1/V Σ_v cos(p_v, mean_{u ≠ v} z_u)
Tensor fastsiam_loss(const Outputs& out) {
    const auto views = static_cast<double>(out.online.size());
    const Tensor sum = at::stack(out.target).sum(0);  // [N, D]
    Tensor loss = at::zeros({}, sum.options());
    for (std::size_t v = 0; v < out.online.size(); ++v) {
        const Tensor others = (sum - out.target[v]) / (views - 1);
        loss = loss - at::cosine_similarity(out.online[v], others).mean() / views;
    }
    return loss;
}

/// FastSiam with any encoder: SimSiam's projector, predictor and stop-gradient.
template <class Encoder>
auto fastsiam(Encoder encoder, const methods::SimsiamOptions& options) {
    auto preset = methods::simsiam(encoder, options).with_loss("fastsiam", fastsiam_loss);
    preset.views = views::Views(std::vector(4, preset.views.pipelines.front()), "fastsiam");
    return preset;
}

int main(int argc, char** argv) {
    auto preset = fastsiam(encoders::ResNet{.depth = 18, .stem = Stem::strided, .width = 0.25}, methods::simsiam_small);
    preset.epochs = argc > 1 ? std::atoll(argv[1]) : 20;
    const run::Data images{.train = data::Embedded({.count = 1000}),
                           .validation = data::Embedded({.count = 250, .first = 1000})};
    return run::run(preset, images, {.train = {.seed = 1}}).status();
}
