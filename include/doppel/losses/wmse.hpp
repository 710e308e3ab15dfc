// SPDX-License-Identifier: Apache-2.0
// W-MSE: aligns whitened embeddings of two views; whitening prevents collapse.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/losses/detail/rows.hpp>

#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/linalg_solve_triangular.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/where.h>

#include <cstdint>
#include <limits>

namespace doppel::losses {

/// Mean squared error between unit vectors after whitening, in random parts of the batch:
///
///     w = L⁻¹ (z − mean),   L Lᵀ = (1 − eps) Cov(z) + eps · I,   L lower triangular (Cholesky)
///     L_W = 1/N Σ_i ‖ ŵ0_i − ŵ1_i ‖² = 2 − 2/N Σ_i ŵ0_i·ŵ1_i,   ŵ = w / ‖w‖
///
/// Mean and Cov (divided by w_size − 1) are those of a part of w_size images of one view; both views have the same
/// parts. The value is the mean over `iterations` random partitions, drawn from torch's generator of the device.
/// Shapes: z0, z1 [N, D], any floating type and device, must not be normalized; w_size divides N. Result: scalar,
/// float32 (float64 for float64 inputs). Symmetric in the two views, so it is paired once; gradient flows into both.
/// Numerics: whitening in float64, also under autocast; no device sync. Unrelated views yield 2, equal ones 0. With
/// eps = 0 the value is invariant to shifts and to the scale of each dimension. Stable whitening needs a w_size of at
/// least 2D; a singular covariance yields NaN, which eps > 0 prevents.
/// Accumulated gradients: the same as one large batch with as many parts, except for the random partition.
/// On several processes it is given the embeddings of all, whose parts are drawn from all images.
/// Differs: lightly's WMSELoss also keeps running statistics, which no loss uses.
/// Throws Error for options out of range, a w_size that does not divide N, or is not above D when eps is 0, and for
/// tensors that are not [N, D] of equal shape.
/// Source: Ermolov, Siarohin, Sangineto, Sebe, "Whitening for Self-Supervised Representation Learning", ICML 2021,
/// arXiv:2007.06346, and the authors' code, which draws four views; pairings::AllPairs pairs more than two.
///
///     losses::Wmse loss{.w_size = 128};      // D = 64
///     loss(z0, z1).backward();
struct Wmse {
    std::int64_t w_size = 128;    ///< images whitened together, ≥ 2; 0: all of the batch. Authors: 2D, 128 and 256
    std::int64_t iterations = 1;  ///< partitions per step, ≥ 1. Authors: 1 for CIFAR-10, 4 for STL-10
    double eps = 0;               ///< weight of the identity in the covariance, from 0 to 1

    Tensor operator()(const Tensor& z0, const Tensor& z1) const {
        require(iterations >= 1, "Wmse: iterations must be at least 1, got ", iterations);
        check(z0, z1);
        Tensor sum;
        for (std::int64_t i = 0; i < iterations; ++i) {
            const Tensor order = at::randperm(z0.size(0), at::device(z0.device()).dtype(at::kLong));
            const Tensor term = in_order(z0, z1, order);
            sum = sum.defined() ? sum + term : term;
        }
        return sum / static_cast<double>(iterations);
    }

    /// Returns the loss of one partition: `order` [N] lists the images of the parts in turn.
    Tensor in_order(const Tensor& z0, const Tensor& z1, const Tensor& order) const {
        check(z0, z1);
        const Autocast float32(z0.device().type(), Precision::fp32);
        const Tensor a = detail::unit_rows(whitened(z0, order)), b = detail::unit_rows(whitened(z1, order));  // [N, D]
        return (2 - 2 * (a * b).sum(1).mean()).to(z0.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
    }

    /// Returns whitened rows [N, D] in the given order, float64: each part has mean 0 and, with eps = 0, covariance I.
    Tensor whitened(const Tensor& z, const Tensor& order) const {
        const auto n = z.size(0), d = z.size(1), part = part_of(n);
        const Tensor parts = z.to(at::kDouble).index_select(0, order).view({n / part, part, d});      // [S, w, D]
        const Tensor centered = parts - parts.mean(1, true);
        const Tensor covariance = centered.mT().matmul(centered) / static_cast<double>(part - 1);       // [S, D, D]
        const auto [factor, info] =
            at::linalg_cholesky_ex(covariance * (1 - eps) + at::eye(d, covariance.options()) * eps);
        const Tensor white = at::linalg_solve_triangular(factor, centered.mT(), /*upper=*/false);      // [S, D, w]
        const Tensor valid = (info == 0).view({-1, 1, 1});
        return at::where(valid, white, std::numeric_limits<double>::quiet_NaN()).mT().reshape({n, d});
    }

private:
    std::int64_t part_of(std::int64_t rows) const { return w_size == 0 ? rows : w_size; }

    void check(const Tensor& z0, const Tensor& z1) const {
        require(w_size == 0 || w_size >= 2, "Wmse: w_size must be at least 2, or 0 for all of the batch, got ", w_size);
        require(eps >= 0 && eps <= 1, "Wmse: eps must be from 0 to 1, got ", eps);
        detail::require_pair("Wmse", z0, z1);
        const auto n = z0.size(0), d = z0.size(1), part = part_of(n);
        require(n >= 2, "Wmse: needs at least 2 images for a covariance, got ", n);
        require(n % part == 0, "Wmse: w_size must divide the batch, got ", part, " for ", n, " images");
        require(eps > 0 || part > d, "Wmse: w_size must be above the width of the embeddings, ", d,
                ", if eps is 0, got ", part);
    }
};

static_assert(contracts::PairLoss<Wmse>);

}  // namespace doppel::losses
