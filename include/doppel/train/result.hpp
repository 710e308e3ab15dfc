// SPDX-License-Identifier: Apache-2.0
// What a training run reports: after each step, at each evaluation, at its end.
#pragma once

#include <doppel/core/batch.hpp>
#include <doppel/recipe/any_method.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace doppel::train {

/// Named figures, such as {"knn_top1", 0.71}.
using Metrics = std::map<std::string, double>;

/// One optimizer step.
struct StepReport {
    std::int64_t step = 0;                 ///< steps done in the whole run, this one included
    double lr = 0;                         ///< learning rate of this step
    std::optional<double> weight_decay{};  ///< of this step, where a schedule sets it
    bool taken = true;                     ///< false: loss or gradients were not finite, the step was skipped
    bool ends_epoch = false;               ///< the last step of a pass over the training images
    std::int64_t images = 0;               ///< images of this step
    Tensor loss{};                         ///< [] mean over the accumulated passes, no gradient, on the device
    Outputs outputs{};                     ///< of the last forward pass, no gradients; on a GPU valid until the next step
    Metrics metrics{};                     ///< every log_every steps: loss (the mean since the last time), lr,
                                           ///< images_per_second, data_wait, feature_std, grad_norm (of this step's
                                           ///< gradients, before clipping) and the loss's own; else empty
};

/// A whole run.
struct TrainResult {
    std::int64_t steps = 0;        ///< optimizer steps done, those before a resume included
    double loss = 0;               ///< mean of the last logged steps; NaN where nothing was logged
    double seconds = 0;            ///< of training, without evaluations; of all processes where metrics.jsonl knows
    double images_per_second = 0;  ///< over those seconds
    double data_wait = 0;          ///< share of this process's seconds in which training waited for images, 0 … 1
    std::int64_t skipped = 0;      ///< steps skipped because loss or gradients were not finite
    bool collapsed = false;        ///< the embeddings looked collapsed at some time in this process
    int signal = 0;                ///< the signal that ended the run; then there is a checkpoint
    std::string stopped{};         ///< why it ended before its last step: the reason given to Trainer::stop()
    std::string error{};           ///< what a step or a callback threw, for end() hooks; empty when nothing was thrown
    std::filesystem::path checkpoint{};  ///< the last one written, or the one the run resumed from
    AnyMethod method{};                  ///< the trained method
};

}  // namespace doppel::train
