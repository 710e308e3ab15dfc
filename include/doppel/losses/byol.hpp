// SPDX-License-Identifier: Apache-2.0
// BYOL's loss.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/losses/detail/mean_cosine.hpp>
#include <doppel/pairings/pairing.hpp>

namespace doppel::losses {

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
///     Recipe{..., .predictor = heads::Mlp{...}, .target = targets::Ema{...}, .loss = losses::Byol{}}
struct Byol {
    using Pairing = pairings::Symmetric;
    static constexpr bool per_image = true;

    Tensor operator()(const Tensor& p, const Tensor& z) const { return 2 - 2 * detail::mean_cosine("Byol", p, z); }
};

static_assert(contracts::PairLoss<Byol> && contracts::NamesPairing<Byol>);

}  // namespace doppel::losses
