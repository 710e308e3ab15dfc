// SPDX-License-Identifier: Apache-2.0
// VICReg: aligns views, keeps the variance of every dimension, and decorrelates dimensions.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/losses/detail/off_diagonal.hpp>
#include <doppel/losses/detail/rows.hpp>

#include <limits>
#include <utility>

namespace doppel::losses {

/// Variance, invariance and covariance of the embeddings, with statistics per view:
///
///     L = λ · mean (z0 − z1)² + μ · ½ ( v(z0) + v(z1) ) + ν · ( c(z0) + c(z1) )
///     v(z) = 1/D Σ_d max(0, 1 − √(Cov(z)_dd + 1e-4)),   c(z) = 1/D Σ_{i≠j} Cov(z)_ij²
///
/// Cov is divided by N − 1. With Convention::paper there is no ½.
/// Shapes: z0, z1 [N, D], any floating type and device, must not be normalized; N ≥ 2. Result: scalar, float32 (float64
/// for float64 inputs). Symmetric in the two views, so it is paired once; gradient flows into both.
/// Numerics: float32, also under autocast. For N < D no [D, D] matrix is computed. Collapsed embeddings yield 0.99 μ,
/// 24.75 (Convention::paper 49.5), with a finite gradient.
/// Accumulated gradients: covariances are the micro-batch's, so n micro-batches are not one large batch.
/// On several processes it is given the embeddings of all, whose [D, D] sums would be larger than its rows.
/// Differs: the paper's equation 5 has no 1/D in the invariance term; the authors' code has it, as here. solo-learn
/// sums the variance terms as in the paper, lightly's VICRegLoss takes their mean.
/// Throws Error for a negative or non-finite weight, fewer than 2 images, and for tensors that are not [N, D]
/// of equal shape.
/// Source: Bardes, Ponce, LeCun, "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning",
/// 2021, arXiv:2105.04906, equations 1 to 6, and the authors' code.
///
///     losses::Vicreg loss{};
///     loss(z0, z1).backward();
struct Vicreg {
    /// The combination of the two views' variance terms.
    enum class Convention {
        code,   ///< their mean, as in the authors' code
        paper,  ///< their sum, as in equation 6: twice the weight
    };

    double invariance = 25;                    ///< λ ≥ 0
    double variance = 25;                      ///< μ ≥ 0
    double covariance = 1;                     ///< ν ≥ 0
    Convention convention = Convention::code;  ///< mean or sum of the variance terms

    Tensor operator()(const Tensor& z0, const Tensor& z1) const {
        for (const auto& [name, weight] :
             {std::pair{"invariance", invariance}, {"variance", variance}, {"covariance", covariance}})
            require(weight >= 0 && weight < std::numeric_limits<double>::infinity(), "Vicreg: ", name,
                    " must be at least 0 and finite, got ", weight);
        detail::require_pair("Vicreg", z0, z1);
        require(z0.size(0) >= 2, "Vicreg: needs at least 2 images for a variance, got ", z0.size(0));
        const Autocast float32(z0.device().type(), Precision::fp32);
        const Tensor a = detail::at_least_float(z0), b = detail::at_least_float(z1);                  // [N, D]
        const auto [hinge_a, redundancy_a] = spread(a);
        const auto [hinge_b, redundancy_b] = spread(b);
        const double share = convention == Convention::code ? 0.5 : 1;
        return (a - b).square().mean() * invariance + (hinge_a + hinge_b) * (variance * share) +
               (redundancy_a + redundancy_b) * covariance;
    }

private:
    /// Returns v(z) and c(z).
    static std::pair<Tensor, Tensor> spread(const Tensor& z) {
        const auto rest = static_cast<double>(z.size(0) - 1), d = static_cast<double>(z.size(1));
        const Tensor centered = z - z.mean(0);
        const Tensor deviation = (centered.square().sum(0) / rest + 1e-4).sqrt();                      // [D]
        return {(1 - deviation).relu().mean(), detail::off_diagonal_squares(centered, centered) / (rest * rest * d)};
    }
};

static_assert(contracts::PairLoss<Vicreg>);

}  // namespace doppel::losses
