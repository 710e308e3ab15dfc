// SPDX-License-Identifier: Apache-2.0
// LiDAR: how many directions distinguish images from each other rather than views of one image.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/eval/detail/measured_rows.hpp>

#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_cholesky.h>
#include <ATen/ops/linalg_solve_triangular.h>

#include <cmath>
#include <cstdint>

namespace doppel::eval {

struct LidarOptions {
    double delta = 1e-4;  ///< added to the diagonal of the covariance within images, > 0; the paper's value
};

/// Returns LiDAR: the effective rank of a linear discriminant analysis whose classes are images, between 1 and
/// min(n, D):
///
///     exp( − Σ_i p_i log p_i ),   p_i = λ_i / Σ_j λ_j,   λ the eigenvalues of Σ_w^(−½) Σ_b Σ_w^(−½)
///     Σ_b = mean_i (μ_i − μ)(μ_i − μ)ᵀ,   Σ_w = mean_ij (z_ij − μ_i)(z_ij − μ_i)ᵀ + δ·I
///
/// μ_i is the mean of image i's views, μ the mean of all. Where effective_rank() counts every direction, this counts
/// those in which images differ by more than their views do. δ depends on the scale of the features.
/// Shapes: features [n · q, D] with the q views of an image one after the other, view_features().flatten(0, 1); any
/// floating type and device; n, q ≥ 2. The paper has n = 1000 and q = 50; n above D. Computed in float64.
/// Differs: the paper's code adds 1e-7 to each p_i.
/// Throws Error for other shapes and types, NaN and infinity.
/// Source: Thilak et al., "LiDAR: Sensing Linear Probing Performance in Joint Embedding SSL Architectures", 2023,
/// arXiv:2312.04000, section 3.
///
///     double rank = eval::lidar(rows, 10);
inline double lidar(const Tensor& features, std::int64_t views, const LidarOptions& options = {}) {
    const at::NoGradGuard no_grad;
    require(views >= 2, "lidar: needs at least 2 views per image, got ", views);
    require(options.delta > 0 && std::isfinite(options.delta), "lidar: delta must be above 0, got ", options.delta);
    const Tensor rows = detail::finite_rows("lidar", features, 2 * views);
    require(rows.size(0) % views == 0, "lidar: features must have ", views, " rows per image, one image after the other, got ",
            rows.size(0), " rows");
    const std::int64_t images = rows.size(0) / views, dim = rows.size(1);
    const auto of_double = rows.options().dtype(at::kDouble);
    const Tensor means = at::zeros({images, dim}, of_double);  // [n, D]
    Tensor within = at::zeros({dim, dim}, of_double);
    const std::int64_t at_once = std::max<std::int64_t>(1, detail::rows_at_once / views);
    for (std::int64_t from = 0; from < images; from += at_once) {
        const std::int64_t count = std::min(at_once, images - from);
        const Tensor part = rows.narrow(0, from * views, count * views).to(at::kDouble).view({count, views, dim});
        const Tensor mean = part.mean(1);
        means.narrow(0, from, count).copy_(mean);
        const Tensor apart = (part - mean.unsqueeze(1)).flatten(0, 1);
        within.addmm_(apart.t(), apart);
    }
    within = within / rows.size(0) + options.delta * at::eye(dim, of_double);
    // With Σ_w = LLᵀ, L⁻¹ Σ_b L⁻ᵀ has the same eigenvalues; the constant 1/n of Σ_b does not matter.
    const Tensor factor = at::linalg_cholesky(within.cpu());
    const Tensor between = (means - means.mean(0, true)).cpu();
    const Tensor whitened = at::linalg_solve_triangular(factor, between.t(), /*upper=*/false);  // [D, n]
    return detail::effective_count(detail::squared_singular_values(whitened));
}

}  // namespace doppel::eval
