// SPDX-License-Identifier: Apache-2.0
// Cosine losses without negatives: BYOL's and SimSiam's.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/losses/detail/rows.hpp>
#include <doppel/pairings/pairing.hpp>

namespace doppel::losses {

namespace detail {
/// Mean over the rows of p̂ · ẑ, without gradient into z.
inline Tensor mean_cosine(std::string_view who, const Tensor& p, const Tensor& z) {
    require_pair(who, p, z);
    const Autocast float32(p.device().type(), Precision::fp32);
    return (unit_rows(p) * unit_rows(z.detach())).sum(1).mean();
}
}  // namespace detail

/// Mean squared error between unit vectors: the prediction of one view and the target's projection of the other.
///
///     L = 1/N Σ_i ‖ p̂_i − ẑ_i ‖² = 2 − 2/N Σ_i p̂_i·ẑ_i,   x̂ = x / ‖x‖
///
/// Paired symmetrically, the two directions summed: from 0 (equal) to 8 (opposite).
/// Shapes: p, z [N, D], any floating type, need not be normalized. Result: scalar, float32 (float64 for float64).
/// No gradient flows into z. It has no negatives: without predictor, stop-gradient and EMA target it collapses to 0.
/// Throws Error for mismatched shapes.
/// Source: Grill et al., "Bootstrap your own latent", 2020, arXiv:2006.07733, equations 2 and 3.
///
///     Recipe{..., .predictor = heads::Mlp{...}, .target = targets::Ema{...}, .loss = losses::ByolMse{}}
struct ByolMse {
    using Pairing = pairings::Symmetric;

    Tensor operator()(const Tensor& p, const Tensor& z) const { return 2 - 2 * detail::mean_cosine("ByolMse", p, z); }
};

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
///     Recipe{..., .predictor = heads::Mlp{...}, .target = targets::StopGradient{}, .loss = losses::NegativeCosine{}}
struct NegativeCosine {
    struct Pairing : pairings::Symmetric {
        Pairing() : pairings::Symmetric{.reduce = pairings::Reduce::mean} {}
    };

    Tensor operator()(const Tensor& p, const Tensor& z) const { return -detail::mean_cosine("NegativeCosine", p, z); }
};

static_assert(contracts::PairLoss<ByolMse> && contracts::NamesPairing<ByolMse> &&
              contracts::PairLoss<NegativeCosine> && contracts::NamesPairing<NegativeCosine>);

}  // namespace doppel::losses
