// SPDX-License-Identifier: Apache-2.0
// NNCLR: the positive of an image is its nearest neighbor among past embeddings.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/nearest.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/losses/detail/cross_log_sum_exp.hpp>
#include <doppel/losses/detail/keys_of_all.hpp>
#include <doppel/losses/detail/rows.hpp>
#include <doppel/losses/tiles.hpp>
#include <doppel/pairings/pairing.hpp>

namespace doppel::losses {

/// Classifies the prediction of one view, given the nearest neighbor of the other, among the predictions of the batch.
///
///     n_i = m_j,  j = argmax_j ẑ_i·m_j,   x̂ = x / ‖x‖
///     L = 1/N Σ_i −log( exp(n_i·p̂_i/τ) / Σ_k exp(n_i·p̂_k/τ) )
///
/// Paired symmetrically, the mean of the two directions: neighbors of view 1 with predictions of view 0 and
/// vice versa.
/// Shapes: p (predictions), z (projections) [N, D], any floating type, need not be normalized; memory m [K, D] of unit
/// rows (queues::SupportSet). Result: scalar, float32 (float64 for float64 inputs). Gradients flow into p only: z
/// selects a row of the memory. Ties go to the lowest row.
/// Numerics: float32, also under autocast. Uninformative embeddings yield log N, and so does a collapsed memory.
/// Accumulated gradients: negatives come from the micro-batch.
/// Memory: the N² similarities, a few times; above `tiles.above` of them, by tiles, with first derivatives only
/// (losses/tiles.hpp).
/// Differs: lightly passes the neighbors to NTXentLoss, which also compares predictions with predictions and neighbors
/// with neighbors.
/// Throws Error for a non-positive temperature, and for mismatched shapes.
/// Source: Dwibedi, Aytar, Tompson, Sermanet, Zisserman, "With a Little Help from My Friends", 2021, arXiv:2104.14548,
/// section 3.2 and algorithm 1.
///
///     Recipe{..., .predictor = heads::Mlp{...}, .target = targets::StopGradient{}, .queue = queues::SupportSet{},
///            .loss = losses::Nnclr{}}
struct Nnclr {
    struct Pairing : pairings::Symmetric {
        Pairing() : pairings::Symmetric{.reduce = pairings::Reduce::mean} {}
    };

    double temperature = 0.1;  ///< τ > 0
    Tiles tiles{};             ///< from which size on the similarities are computed by tiles
    Group group{};             ///< set by join()

    void join(const Group& with) { group = with; }

    Tensor operator()(const Tensor& p, const Tensor& z, const Tensor& memory) const {
        detail::require_temperature("Nnclr", temperature);
        detail::require_pair("Nnclr", p, z);
        require(memory.defined() && memory.dim() == 2 && memory.size(0) >= 1 && memory.size(1) == p.size(1),
                "Nnclr: the support set must be [K, ", p.size(1), "], got ",
                memory.defined() ? memory.sizes() : at::IntArrayRef{});
        const Autocast float32(p.device().type(), Precision::fp32);
        const Tensor prediction = detail::unit_rows(p);                                               // [N, D]
        const Tensor positive = nearest_rows(memory, z).to(prediction.scalar_type());                 // [N, D]
        if (!group.alone())
            return detail::log_sum_exp_over_all(positive, prediction, group, temperature, tiles).mean() -
                   (positive * prediction).sum(1).mean() / temperature;
        if (tiles.cut(p.size(0), p.size(0))) {
            const auto log_sum = detail::cross_log_sum_exp(positive, prediction, temperature, tiles);
            return log_sum[0].mean() - (positive * prediction).sum(1).mean() / temperature;
        }
        const Tensor logits = positive.mm(prediction.t()) / temperature;                              // [N, N]
        return logits.logsumexp(1).mean() - logits.diagonal().mean();
    }
};

static_assert(contracts::MemoryLoss<Nnclr> && contracts::NamesPairing<Nnclr>);

}  // namespace doppel::losses
