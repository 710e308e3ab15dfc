// SPDX-License-Identifier: Apache-2.0
// Evaluates while training.
#pragma once

#include <doppel/train/callback.hpp>
#include <doppel/train/trainer.hpp>

#include <cstdint>
#include <functional>
#include <string>

namespace doppel::train {

/// Every `epochs` passes over the training images, but not after the last one, publishes what `measure` returns to the
/// evaluation() hooks of all callbacks. An Error from `measure` becomes a warning: a measurement does not end a training.
///
///     train::EvaluateEvery{.epochs = 10, .measure = [&](train::Trainer& t) { return train::Metrics{{"knn_top1", …}}; }}
struct EvaluateEvery {
    std::int64_t epochs = 1;  ///< 0: never
    std::function<Metrics(Trainer&)> measure{};

    void epoch(Trainer& trainer, std::int64_t done) const {
        if (epochs <= 0 || done % epochs != 0 || done >= trainer.preset().epochs || !measure) return;
        try {
            trainer.publish(measure(trainer));
        } catch (const Error& problem) {
            trainer.warn("epoch " + std::to_string(done) + ": the evaluation failed: " + problem.what());
        }
        trainer.method().module().train();
    }
};
static_assert(Callback<EvaluateEvery>);

}  // namespace doppel::train
