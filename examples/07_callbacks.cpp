// SPDX-License-Identifier: Apache-2.0
// Lesson 7: callbacks, and stopping early.
//
// train::train() and run::run() take callbacks after their options. A callback is any struct with some of these hooks,
// or a lambda (Trainer&, const StepReport&), which is a step hook:
//
//     begin(Trainer&)   step(Trainer&, const StepReport&)   epoch(Trainer&, int64_t)
//     evaluation(Trainer&, const Metrics&)   end(Trainer&, TrainResult&)
//
// A misspelled hook does not compile. Logs, checkpoints, the progress bar and the collapse warning are callbacks as
// well, in train/callbacks/. What a callback throws ends the run; with a folder (.out), the last good step is saved.
//
// Here: k-NN after each epoch (train::EvaluateEvery publishes it), and an end as soon as it no longer improves.
//     ./run example 07 [EPOCHS]
//
// Next: trainer.record("name", value) in a step hook adds a figure to metrics.jsonl and TensorBoard.
#include <doppel/data/embedded.hpp>
#include <doppel/encoders/resnet.hpp>
#include <doppel/eval/features.hpp>
#include <doppel/eval/knn.hpp>
#include <doppel/methods/simclr.hpp>
#include <doppel/train/callbacks/evaluate_every.hpp>
#include <doppel/train/train.hpp>

#include <iostream>
using namespace doppel;

/// Ends the run when a figure has not improved for `patience` evaluations.
struct EarlyStop {
    std::string figure = "knn_top1";
    int patience = 2;
    double best = -1;
    int without = 0;

    void evaluation(train::Trainer& trainer, const train::Metrics& metrics) {
        const double value = metrics.at(figure);
        std::cout << "epoch " << trainer.epoch() << ": " << figure << ' ' << value << '\n';
        without = value > best ? 0 : without + 1;
        best = std::max(best, value);
        if (without >= patience) trainer.stop(figure + " no longer improves");
    }
};

int main(int argc, char** argv) {
    const encoders::ResNet encoder{.depth = 18, .stem = Stem::strided, .width = 0.25};
    auto preset = methods::simclr(encoder, methods::simclr_small);
    preset.epochs = argc > 1 ? std::atoll(argv[1]) : 50;
    const data::Dataset images = data::Embedded({.count = 1000});
    const data::Dataset held_out = data::Embedded({.count = 250, .first = 1000});
    const auto knn = [&](train::Trainer& trainer) {
        const eval::Features bank = eval::features(trainer.method(), images, preset.views.eval);
        const eval::Features queries = eval::features(trainer.method(), held_out, preset.views.eval);
        return train::Metrics{{"knn_top1", eval::knn(queries.rows, bank.rows, bank.labels, queries.labels, 10).top1}};
    };
    EarlyStop early;
    const train::EvaluateEvery evaluate{.epochs = 1, .measure = knn};
    const train::TrainResult result = train::train(preset, images, {.seed = 1}, evaluate, early);
    std::cout << result.steps << " steps, best k-NN " << early.best << ' ' << result.stopped << '\n';
    return 0;
}
