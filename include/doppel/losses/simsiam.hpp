// SPDX-License-Identifier: Apache-2.0
// SimSiam's loss.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/losses/detail/mean_cosine.hpp>
#include <doppel/pairings/pairing.hpp>

namespace doppel::losses {

/// Negative cosine similarity between the prediction of one view and the projection of the other.
///
///     L = −1/N Σ_i p̂_i·ẑ_i,   x̂ = x / ‖x‖
///
/// Paired symmetrically, the mean of the two directions: −1 if collapsed or perfect, 0 for unrelated vectors.
/// Shapes: p, z [N, D], any floating type, need not be normalized. Result: scalar, float32 (float64 for float64).
/// No gradient flows into z. It has no negatives: without predictor or stop-gradient it collapses to −1.
/// Differs: lightly's name is NegativeCosineSimilarity.
/// Throws Error for mismatched shapes.
/// Source: Chen, He, "Exploring Simple Siamese Representation Learning", 2020, arXiv:2011.10566, equations 1 to 4.
///
///     Recipe{..., .predictor = heads::Mlp{...}, .target = targets::StopGradient{}, .loss = losses::Simsiam{}}
struct Simsiam {
    static constexpr bool per_image = true;

    struct Pairing : pairings::Symmetric {
        Pairing() : pairings::Symmetric{.reduce = pairings::Reduce::mean} {}
    };

    Tensor operator()(const Tensor& p, const Tensor& z) const { return -detail::mean_cosine("Simsiam", p, z); }
};

static_assert(contracts::PairLoss<Simsiam> && contracts::NamesPairing<Simsiam>);

}  // namespace doppel::losses
