// SPDX-License-Identifier: Apache-2.0
// A training batch, and the network outputs that losses and queues read.
#pragma once

#include <doppel/core/training_step.hpp>
#include <doppel/core/normalize.hpp>
#include <doppel/core/tensor.hpp>

#include <cstdint>
#include <vector>

namespace doppel {

/// One training batch: V views of the same B images.
struct Batch {
    std::vector<Tensor> views{};  ///< V tensors [B, C, H, W]: float32, or 8-bit as a loader gives them; the first `globals` are
                                  ///< global views
    std::vector<Normalize> normalize{};  ///< of each 8-bit view: what train::to_device() applies
    std::int64_t globals = 2;     ///< number of global views; all views are global except in multi-crop
    Tensor index{};               ///< [B] int64: indices of the images in the data set
    Tensor label{};               ///< [B] int64: class indices, −1 if unlabeled; undefined without classes
};

/// Network outputs at the masked patches of all global views (masked image modeling), M in total. `online` is undefined
/// if no view is masked.
struct Patches {
    Tensor online{};  ///< online branch, which sees the masked view [M, D], float32
    Tensor target{};  ///< target branch at the same positions of the unmasked view [M, D], float32
    Tensor weight{};  ///< [M]: 1 / (masked patches of that view of the image · global views · images)
};

/// The inputs of a loss. The lists have one entry per view; an entry is undefined if the pairing does not send that
/// view through that branch.
struct Outputs {
    std::vector<Tensor> features{};   ///< encoder, online branch [B, F]
    std::vector<Tensor> projected{};  ///< projector, online branch [B, D]
    std::vector<Tensor> online{};     ///< predictor (or projector) [B, D], float32
    std::vector<Tensor> target{};     ///< target branch [B, D], float32
    Tensor memory{};                  ///< the queue as it was before this batch [K, D]; undefined without a queue
    Tensor index{}, label{};          ///< as in Batch
    std::int64_t globals = 2;         ///< as in Batch: views 0 … globals − 1 are global views
    Patches patches{};                ///< for losses that mask patches
    TrainingStep at{};                    ///< current training step
};

}  // namespace doppel
