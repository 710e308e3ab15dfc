// SPDX-License-Identifier: Apache-2.0
// Barlow Twins: drives the cross-correlation of two views' embeddings to the identity.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/losses/detail/off_diagonal.hpp>
#include <doppel/losses/detail/rows.hpp>

#include <limits>

namespace doppel::losses {

namespace detail {
/// Standardizes each column over the batch, as BatchNorm without scale and offset does.
inline Tensor standard_columns(const Tensor& x, double eps = 1e-5) {
    const Tensor wide = at_least_float(x), centered = wide - wide.mean(0);
    return centered * (centered.square().mean(0) + eps).rsqrt();
}
}  // namespace detail

/// Redundancy reduction: each dimension should correlate with itself in the other view, and with no other dimension.
///
///     C = z̃0ᵀ z̃1 / N,   z̃ = (z − mean) / √(var + 1e-5), of each view's batch, var divided by N
///     L = scale · ( Σ_i (1 − C_ii)² + λ Σ_{i≠j} C_ij² )
///
/// Shapes: z0, z1 [N, D], any floating type and device, need not be normalized; N ≥ 2. Result: scalar, float32
/// (float64 for float64 inputs). Symmetric in the two views, so it is paired once; gradient flows into both.
/// Numerics: float32, also under autocast. For N < D no [D, D] matrix is computed. Unrelated views yield about
/// D + λ D²/N, equal views without redundancy 0, collapsed ones D with a finite gradient.
/// Accumulated gradients: C is the micro-batch's, so n micro-batches are not one large batch.
/// On several processes it is given the embeddings of all, whose [D, D] sums would be larger than its rows.
/// Differs: the authors multiplied by 0.024 before they moved the factor to the learning rates, solo-learn still does
/// (0.1 for CIFAR-10); lightly's name is BarlowTwinsLoss, with λ = 0.005.
/// Throws Error for a negative or non-finite λ, a non-positive scale, fewer than 2 images, and for
/// tensors that are not [N, D] of equal shape.
/// Source: Zbontar, Jing, Misra, LeCun, Deny, "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", 2021,
/// arXiv:2103.03230, equations 1 and 2, algorithm 1; normalization as in the authors' code.
///
///     losses::BarlowTwins loss{};
///     loss(z0, z1).backward();
struct BarlowTwins {
    double lambda = 0.0051;  ///< λ ≥ 0, weight of the off-diagonal elements
    double scale = 1;        ///< > 0, multiplies the loss

    Tensor operator()(const Tensor& z0, const Tensor& z1) const {
        require(lambda >= 0 && lambda < std::numeric_limits<double>::infinity(),
                "BarlowTwins: lambda must be at least 0 and finite, got ", lambda);
        require(scale > 0 && scale < std::numeric_limits<double>::infinity(),
                "BarlowTwins: scale must be positive and finite, got ", scale);
        detail::require_pair("BarlowTwins", z0, z1);
        require(z0.size(0) >= 2, "BarlowTwins: needs at least 2 images for a correlation, got ", z0.size(0));
        const Autocast float32(z0.device().type(), Precision::fp32);
        const auto n = static_cast<double>(z0.size(0));
        const Tensor a = detail::standard_columns(z0), b = detail::standard_columns(z1);              // [N, D]
        const Tensor own = (a * b).mean(0);                                                           // [D], C_ii
        return ((1 - own).square().sum() + detail::off_diagonal_squares(a, b) * (lambda / (n * n))) * scale;
    }
};

static_assert(contracts::PairLoss<BarlowTwins>);

}  // namespace doppel::losses
