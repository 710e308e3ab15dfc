// SPDX-License-Identifier: Apache-2.0
// Sinkhorn-Knopp: converts scores to assignments that use all prototypes equally.
#pragma once

#include <doppel/core/collectives.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/losses/detail/rows.hpp>

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>

#include <cstdint>
#include <limits>

namespace doppel::losses {

/// Options of sinkhorn().
struct Sinkhorn {
    double epsilon = 0.05;        ///< ε > 0, softness of the assignments; in DINO's centering the target's temperature
    std::int64_t iterations = 3;  ///< number of iterations, ≥ 1
};

/// Returns assignments Q [B, K] for scores S [B, K] of K prototypes: rows sum to 1, columns to nearly B / K.
///
///     Q = exp((S − max S) / ε);   `iterations` times:  Q ← Q / column sums / K,  Q ← Q / row sums / B;   Q ← B · Q
///
/// No gradient flows. float32 (float64 for float64 scores), also under autocast. Subtracting the largest score keeps
/// exp() below 1 and does not change the result; scores are clamped to at most 80 ε below the largest, so that no sum
/// is 0. No device sync.
/// Throws Error for ε or iterations out of range, and for scores that are not [B, K].
/// Source: Caron et al., SwAV, 2020, arXiv:2006.09882, section 3.1; Cuturi, "Sinkhorn distances", 2013,
/// arXiv:1306.0895.
///
/// `counted` [B], 1 or 0: rows with 0 are no part of the batch, and become 0.
/// `group`: the batch is that of all processes, each with its own rows, 0 or more; largest score and column sums are
/// exchanged, K values an iteration.
///
///     Tensor q = losses::sinkhorn(scores, {.epsilon = 0.05});
inline Tensor sinkhorn(const Tensor& scores, const Sinkhorn& options = {}, const Tensor& counted = {},
                       const Group& group = {}) {
    require(options.epsilon > 0 && options.epsilon < std::numeric_limits<double>::infinity(),
            "sinkhorn: epsilon must be positive and finite, got ", options.epsilon);
    require(options.iterations >= 1, "sinkhorn: iterations must be at least 1, got ", options.iterations);
    require(scores.defined() && scores.dim() == 2 && (scores.numel() > 0 || !group.alone()), "sinkhorn: scores must be [B, K], got ",
            scores.defined() ? scores.sizes() : at::IntArrayRef{});
    const at::NoGradGuard no_grad;
    const Autocast float32(scores.device().type(), Precision::fp32);
    const Tensor s = detail::at_least_float(scores) / options.epsilon;
    const auto columns = static_cast<double>(s.size(1));
    if (counted.defined() || !group.alone()) {
        require(!counted.defined() || (counted.dim() == 1 && counted.size(0) == s.size(0)), "sinkhorn: counted must be [",
                s.size(0), "], got ", counted.defined() ? counted.sizes() : at::IntArrayRef{});
        const Tensor ones = counted.defined() ? counted.to(s.scalar_type()).unsqueeze(1) : at::ones({s.size(0), 1}, s.options());
        const Tensor rows = summed(ones.sum(), group);                                               // []
        Tensor largest = s.size(0) == 0 ? at::full({}, std::numeric_limits<float>::lowest(), s.options())
                                        : s.masked_fill(ones.eq(0), std::numeric_limits<float>::lowest()).max();
        if (!group.alone()) group.collectives().maximum(largest);
        Tensor q = (s - largest).clamp_min(-80).clamp_max_(0).exp_().mul_(ones);
        for (std::int64_t i = 0; i < options.iterations; ++i) {
            q.div_(summed(q.sum(0, true), group).mul_(columns));
            q.div_(q.sum(1, true).mul_(rows).add_(1 - ones));
        }
        return q.mul_(rows);
    }
    Tensor q = (s - s.max()).clamp_min(-80).exp_();
    const auto rows = static_cast<double>(s.size(0));
    for (std::int64_t i = 0; i < options.iterations; ++i) {
        q.div_(q.sum(0, true).mul_(columns));
        q.div_(q.sum(1, true).mul_(rows));
    }
    return q.mul_(rows);
}

}  // namespace doppel::losses
