// SPDX-License-Identifier: Apache-2.0
// ReSSL: matches the similarities of two views of an image to other images.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/losses/detail/rows.hpp>

#include <limits>

namespace doppel::losses {

/// Cross-entropy between two distributions over the rows of a queue: their similarity to the target's view, and to the
/// online view. No row is a negative; the sharper target selects the relevant ones.
///
///     q_i = softmax_j( t̂_i·m_j / τ_t ),  p_i = softmax_j( ô_i·m_j / τ ),   x̂ = x / ‖x‖
///     L = 1/N Σ_i − Σ_j q_ij log p_ij
///
/// Paired once: view 0 online, strongly augmented; view 1 target, weakly augmented (views::ressl).
/// Shapes: online, target [N, D], any floating type, need not be normalized; memory m [K, D] of unit rows. Result:
/// scalar, float32 (float64 for float64 inputs). No gradient flows into target and memory.
/// Numerics: float32, also under autocast; both distributions by softmax with the maximum subtracted. Uninformative
/// embeddings yield log K; the minimum is the entropy of q, not 0. τ_t must be below τ, so that the target is sharper.
/// Throws Error for non-positive temperatures, and for mismatched shapes.
/// Source: Zheng, You, Wang, Qian, Zhang, Wang, Xu, "ReSSL: Relational Self-Supervised Learning with Weak
/// Augmentation", 2021, arXiv:2107.09282, section 3 and algorithm 1, and the authors' code.
///
///     Recipe{..., .target = targets::Ema{...}, .queue = queues::Fifo{.capacity = 4096}, .loss = losses::Ressl{}}
struct Ressl {
    static constexpr bool per_image = true;

    double temperature = 0.1;          ///< τ > 0 of the online branch
    double target_temperature = 0.04;  ///< τ_t > 0 of the target

    Tensor operator()(const Tensor& online, const Tensor& target, const Tensor& memory) const {
        detail::require_temperature("Ressl", temperature);
        require(target_temperature > 0 && target_temperature < std::numeric_limits<double>::infinity(),
                "Ressl: target_temperature must be positive and finite, got ", target_temperature);
        detail::require_pair("Ressl", online, target);
        require(memory.defined() && memory.dim() == 2 && memory.size(0) >= 1 && memory.size(1) == online.size(1),
                "Ressl: the queue must be [K, ", online.size(1), "], got ",
                memory.defined() ? memory.sizes() : at::IntArrayRef{});
        const Autocast float32(online.device().type(), Precision::fp32);
        const Tensor o = detail::unit_rows(online);                                                   // [N, D]
        const Tensor t = detail::unit_rows(target.detach()).to(o.scalar_type());                      // [N, D]
        const Tensor rows = memory.detach().to(o.scalar_type()).t();                                  // [D, K]
        const Tensor log_p = (o.mm(rows) / temperature).log_softmax(1);                               // [N, K]
        const Tensor q = (t.mm(rows) / target_temperature).softmax(1);                                // [N, K]
        return -(q * log_p).sum(1).mean();
    }
};

static_assert(contracts::MemoryLoss<Ressl>);

}  // namespace doppel::losses
