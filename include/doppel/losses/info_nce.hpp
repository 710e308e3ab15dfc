// SPDX-License-Identifier: Apache-2.0
// InfoNCE: MoCo's contrastive loss, with negatives from a queue, from the batch, or from the batch in both directions.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/losses/detail/cross_log_sum_exp.hpp>
#include <doppel/losses/detail/keys_of_all.hpp>
#include <doppel/losses/detail/rows.hpp>
#include <doppel/losses/tiles.hpp>
#include <doppel/pairings/pairing.hpp>

#include <ATen/ops/softplus.h>

namespace doppel::losses {

/// Classifies the positive key of each query among the keys of a queue.
///
///     L = 1/N Σ_i −log( exp(q̂_i·k̂_i/τ) / ( exp(q̂_i·k̂_i/τ) + Σ_j exp(q̂_i·m_j/τ) ) ),   x̂ = x / ‖x‖
///
/// Shapes: q, k [N, D], any floating type, need not be normalized; memory [K, D] of unit rows. Result: scalar, float32
/// (float64 for float64 inputs). No gradient flows into k and memory. Other keys of the batch are not negatives.
/// Numerics: float32, also under autocast. Uninformative embeddings yield log(K + 1); with a queue of random rows the
/// loss starts lower, rises while the queue fills, then falls.
/// Memory: the N·K similarities, a few times; above `tiles.above` of them, by tiles, with first derivatives only
/// (losses/tiles.hpp).
/// Throws Error for a non-positive temperature, and for mismatched shapes.
/// Differs: lightly's equivalent is NTXentLoss with a memory bank.
/// Source: He, Fan, Wu, Xie, Girshick, "Momentum Contrast for Unsupervised Visual Representation Learning", 2019,
/// arXiv:1911.05722, equation 1 and algorithm 1.
///
///     Recipe{..., .target = targets::Ema{...}, .queue = queues::Fifo{.capacity = 4096},
///            .loss = losses::InfoNce{.temperature = 0.2}}
struct InfoNce {
    static constexpr bool per_image = true;

    double temperature = 0.07;  ///< τ > 0. MoCo v1: 0.07, v2: 0.2; CIFAR-10: 0.1
    Tiles tiles{};              ///< from which size on the similarities are computed by tiles

    Tensor operator()(const Tensor& q, const Tensor& k, const Tensor& memory) const {
        detail::require_temperature("InfoNce", temperature);
        detail::require_pair("InfoNce", q, k);
        require(memory.defined() && memory.dim() == 2 && memory.size(1) == q.size(1), "InfoNce: the queue must be [K, ",
                q.size(1), "], got ", memory.defined() ? memory.sizes() : at::IntArrayRef{});
        const Autocast float32(q.device().type(), Precision::fp32);
        const Tensor query = detail::unit_rows(q), key = detail::unit_rows(k.detach());
        const Tensor queue = memory.detach().to(query.scalar_type());                                 // [K, D]
        const Tensor positive = (query * key).sum(1) / temperature;                                   // [N]
        const Tensor negative = tiles.cut(query.size(0), queue.size(0))
                                    ? detail::cross_log_sum_exp(query, queue, temperature, tiles)[0]
                                    : (query / temperature).mm(queue.t()).logsumexp(1);               // [N]
        // log(exp p + exp n) − p = log(1 + exp(n − p))
        return at::softplus(negative - positive, 1, 40).mean();
    }
};

/// Classifies the positive key of each query among the keys of the batch.
///
///     L = 2τ · 1/N Σ_i −log( exp(q̂_i·k̂_i/τ) / Σ_j exp(q̂_i·k̂_j/τ) ),   x̂ = x / ‖x‖
///
/// Paired symmetrically, the two directions summed: queries of view 0 with keys of view 1, and vice versa. Keys of the
/// query's own view are not used.
/// Shapes: q, k [N, D], any floating type, need not be normalized. Result: scalar, float32 (float64 for float64).
/// No gradient flows into k. Uninformative embeddings yield 2τ·log N per direction.
/// Accumulated gradients: negatives come from the micro-batch.
/// Memory: as InfoNce, for the N² similarities.
/// Source: Chen, Xie, He, "An Empirical Study of Training Self-Supervised Vision Transformers", 2021,
/// arXiv:2104.02057, algorithm 1; the factor 2τ is in the authors' code and footnote.
///
///     Recipe{..., .target = targets::Ema{...}, .loss = losses::InBatchInfoNce{.temperature = 0.2}}
struct InBatchInfoNce {
    using Pairing = pairings::Symmetric;

    double temperature = 1.0;  ///< τ > 0. MoCo v3: 1 for ResNet-50, 0.2 for ViT
    Tiles tiles{};             ///< from which size on the similarities are computed by tiles
    Group group{};             ///< set by join()

    void join(const Group& with) { group = with; }

    Tensor operator()(const Tensor& q, const Tensor& k) const {
        detail::require_temperature("InBatchInfoNce", temperature);
        detail::require_pair("InBatchInfoNce", q, k);
        const Autocast float32(q.device().type(), Precision::fp32);
        const Tensor query = detail::unit_rows(q), key = detail::unit_rows(k.detach());               // [N, D]
        if (!group.alone()) {
            const Tensor log_sum = detail::log_sum_exp_over_all(query, key, group, temperature, tiles, {}, 1);
            return 2 * temperature * log_sum.mean() - 2 * (query * key).sum(1).mean();
        }
        if (tiles.cut(q.size(0), q.size(0))) {
            const auto log_sum = detail::cross_log_sum_exp(query, key, temperature, tiles, false, {}, 1);
            return 2 * temperature * log_sum[0].mean() - 2 * (query * key).sum(1).mean();
        }
        const Tensor logits = query.mm(key.t()) / temperature;                                        // [N, N]
        return 2 * temperature * (logits.logsumexp(1).mean() - logits.diagonal().mean());
    }
};

/// Classifies each image's other view among those of the batch, in both directions, with gradients into both views.
///
///     L = 1/2 ( CE(S) + CE(Sᵀ) ),   S_ij = â_i·b̂_j/τ,   CE(S) = 1/N Σ_i −log( exp S_ii / Σ_j exp S_ij ),   x̂ = x / ‖x‖
///
/// Embeddings of the same view are not compared, unlike in NtXent.
/// Shapes: a, b [N, D], any floating type, need not be normalized. Result: scalar, float32 (float64 for float64).
/// Symmetric in the views. Uninformative embeddings yield log N.
/// Accumulated gradients: negatives come from the micro-batch.
/// Memory: as InfoNce, for the N² similarities; each tile serves both directions.
/// Differs: CLIP trains the temperature; here it is fixed, as in DirectCLR's code.
/// Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021,
/// arXiv:2103.00020, figure 3; DirectCLR's code (arXiv:2110.09348).
///
///     Recipe{.encoder = ..., .projector = heads::Mlp{...}, .loss = losses::CrossViewInfoNce{.temperature = 0.1}}
struct CrossViewInfoNce {
    double temperature = 0.1;  ///< τ > 0
    Tiles tiles{};             ///< from which size on the similarities are computed by tiles
    Group group{};             ///< set by join()

    void join(const Group& with) { group = with; }

    Tensor operator()(const Tensor& a, const Tensor& b) const {
        detail::require_temperature("CrossViewInfoNce", temperature);
        detail::require_pair("CrossViewInfoNce", a, b);
        const Autocast float32(a.device().type(), Precision::fp32);
        const Tensor rows = detail::unit_rows(a), columns = detail::unit_rows(b);                     // [N, D]
        if (!group.alone()) {
            const Tensor there = detail::log_sum_exp_over_all(rows, columns, group, temperature, tiles, {}, 1);
            const Tensor back = detail::log_sum_exp_over_all(columns, rows, group, temperature, tiles, {}, 1);
            return (there.mean() + back.mean()) / 2 - (rows * columns).sum(1).mean() / temperature;
        }
        if (tiles.cut(a.size(0), a.size(0))) {
            const auto log_sum = detail::cross_log_sum_exp(rows, columns, temperature, tiles, true, {}, 1);
            return (log_sum[0].mean() + log_sum[1].mean()) / 2 - (rows * columns).sum(1).mean() / temperature;
        }
        const Tensor logits = rows.mm(columns.t()) / temperature;                                     // [N, N]
        return (logits.logsumexp(1).mean() + logits.logsumexp(0).mean()) / 2 - logits.diagonal().mean();
    }
};

static_assert(contracts::MemoryLoss<InfoNce> && contracts::PairLoss<InBatchInfoNce> && contracts::PairLoss<CrossViewInfoNce> &&
              contracts::NamesPairing<InBatchInfoNce>);

}  // namespace doppel::losses
