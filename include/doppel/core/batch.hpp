// SPDX-License-Identifier: Apache-2.0
// A training batch, and the network outputs that losses and queues read.
#pragma once

#include <doppel/core/training_step.hpp>
#include <doppel/core/normalize.hpp>
#include <doppel/core/tensor.hpp>

#include <cstdint>
#include <vector>

namespace doppel {

/// The masked patches of the views that pass through a network together.
struct MaskedPatches {
    Tensor mask{};    ///< [rows, N] bool; undefined: nothing is masked
    Tensor places{};  ///< [M] int64: places in mask.flatten()
    Tensor weight{};  ///< [M] as Patches::weight; 0 where a row only fills up a fixed number of places
};

/// One training batch: V views of the same B images.
struct Batch {
    std::vector<Tensor> views{};  ///< V tensors [B, C, H, W]: float32, or 8-bit as a loader gives them; the first `globals` are
                                  ///< global views
    std::vector<Normalize> normalize{};  ///< of each 8-bit view: what train::to_device() applies
    std::vector<Tensor> drawn{};  ///< of each view that is still to be made on the device, what its operations drew [B, P],
                                  ///< float64: see batched::Views. Its tensor in `views` then ends in the crop, or has a shape only (meta)
    std::int64_t globals = 2;     ///< number of global views; all views are global except in multi-crop
    Tensor index{};               ///< [B] int64: indices of the images in the data set
    Tensor label{};               ///< [B] int64: class indices, −1 if unlabeled; undefined without classes
    std::int64_t first = 0;       ///< on several processes: images of the whole batch before these
    std::int64_t all = 0;         ///< images of the whole batch, shared as rows_of() does; 0: of this process alone
    std::vector<Tensor> orders{};       ///< drawn ahead by Method::draw(), else empty: of each view that starts a pass of the
                                        ///< target, [2, rows] int64: an order of its rows, and the way back
    std::vector<MaskedPatches> masked{};  ///< drawn ahead likewise, with a loss that masks patches
};

/// Network outputs at the masked patches of all global views (masked image modeling), M in total. `online` is undefined
/// if no view is masked.
struct Patches {
    Tensor online{};  ///< online branch, which sees the masked view [M, D], float32
    Tensor target{};  ///< target branch at the same positions of the unmasked view [M, D], float32
    Tensor weight{};  ///< [M]: 1 / (masked patches of that view of the image · global views · images); 0 of a row that counts
                      ///< for nothing
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
