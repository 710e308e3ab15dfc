// SPDX-License-Identifier: Apache-2.0
// What a step gets (Batch) and what a loss may look at (Outputs).
#pragma once

#include <doppel/core/training_step.hpp>
#include <doppel/core/tensor.hpp>

#include <cstdint>
#include <vector>

namespace doppel {

/// One training batch: V views of the same B images.
struct Batch {
    std::vector<Tensor> views{};  ///< V tensors [B, C, H, W]; the first `globals` are global crops
    std::int64_t globals = 2;     ///< how many of the views are global crops (all of them, but for multi-crop)
    Tensor index{};               ///< [B] int64: the images' numbers in the data set
    Tensor label{};               ///< [B] int64: class indices, -1 where unlabelled; undefined when there are none
};

/// What the network makes of patches that the online branch did not see (masked image modelling): M of them, from all
/// global views. No view at all has some where `online` is undefined.
struct Patches {
    Tensor online{};  ///< projector's (or predictor's) outputs at the masked patches [M, D], float32
    Tensor target{};  ///< the target branch's at the same places of the whole image [M, D], float32
    Tensor weight{};  ///< [M]: 1 / (masked patches of the same view of the image · global views · images)
};

/// Everything a loss may look at. The lists have one entry a view; an entry is undefined where the
/// pairing does not send that view through that branch.
struct Outputs {
    std::vector<Tensor> features{};   ///< encoder, online branch [B, F]
    std::vector<Tensor> projected{};  ///< projector, online branch [B, D]
    std::vector<Tensor> online{};     ///< predictor (or projector) [B, D], float32
    std::vector<Tensor> target{};     ///< target branch [B, D], float32
    Tensor memory{};                  ///< the queue as it was before this batch [K, D]; undefined without a queue
    Tensor index{}, label{};          ///< as in Batch
    std::int64_t globals = 2;         ///< as in Batch: views 0 … globals − 1 are global crops
    Patches patches{};                ///< for a loss that masks patches
    Progress at{};                    ///< the step this is
};

}  // namespace doppel
