// SPDX-License-Identifier: Apache-2.0
// Lesson 8: one slot of a preset changed.
//
// To learn what a part contributes, change that part and nothing else. preset.with_loss(name, loss), with_encoder,
// with_projector, with_predictor, with_target, with_queue and with_pairing return the preset with another spec in that
// slot; views, optimizer, learning rate and all else stay. The name is written to config.json and to checkpoints, so
// that runs are not mixed up. Slots that do not fit together do not compile; the first error names the slot.
//
// A preset's type follows from its slots. erase(preset) forgets it (AnyPreset), so that different ones fit in one list.
//
// Here: MoCo v2 against itself with a fast target, with a short queue, and with a loss in which a negative counts the
// more, the more similar it is to the query.
//
//     ./run example 08 [EPOCHS]
//
// Next: several seeds per variant (.seed); a difference smaller than that between seeds is none.
#include <doppel/data/embedded.hpp>
#include <doppel/encoders/resnet.hpp>
#include <doppel/methods/moco_v2.hpp>
#include <doppel/run/run.hpp>

#include <cstdlib>
#include <iostream>
using namespace doppel;

/// −s⁺ + log(exp s⁺ + Σ_j w_j exp s_j), s = q·k / 0.2, w_j = K softmax_j(0.2 s_j)
Tensor hard_negatives(const Tensor& q, const Tensor& k, const Tensor& queue) {
    const Tensor unit = q / q.norm(2, 1, true).clamp_min(1e-12), cosine = unit.mm(queue.t());          // [N, K]
    const Tensor positive = at::cosine_similarity(q, k.detach()) / 0.2;                                // [N]
    const Tensor log_weight = cosine.detach().log_softmax(1) + std::log(static_cast<double>(queue.size(0)));
    return (at::logaddexp(positive, (cosine / 0.2 + log_weight).logsumexp(1)) - positive).mean();
}

int main(int argc, char** argv) {
    const encoders::ResNet encoder{.depth = 18, .stem = Stem::strided, .width = 0.25};
    auto options = methods::moco_v2_small;
    options.queue = 128;  // a quarter of the images at most
    auto moco = methods::moco_v2(encoder, options);
    moco.epochs = argc > 1 ? std::atoll(argv[1]) : 10;
    const targets::Ema fast{.schedule = 0.9, .timing = targets::EmaTiming::before_forward};
    const std::vector<AnyPreset> variants{erase(moco), erase(moco.with_target("fast_target", fast)),
                                          erase(moco.with_queue("short_queue", queues::Fifo{.capacity = 16})),
                                          erase(moco.with_loss("hard_negatives", hard_negatives))};

    const run::Data images{.train = data::Embedded({.count = 600}),
                           .validation = data::Embedded({.count = 200, .first = 600})};
    std::string table;
    for (const AnyPreset& preset : variants) {
        const run::RunResult result = run::run(preset, images, {.train = {.seed = 1}});
        table += preset.name + ": k-NN " + std::to_string(result.metrics.at("knn_top1")) + '\n';
    }
    std::cout << table;
    return 0;
}
