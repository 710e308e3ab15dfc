// SPDX-License-Identifier: Apache-2.0
// Principal component analysis of features.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/eval/detail/measured_rows.hpp>

#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_eigh.h>

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <vector>

namespace doppel::eval {

/// The principal components of features, the largest variance first.
struct Pca {
    Tensor mean;                ///< [1, D] float64
    Tensor components;          ///< [k, D] float64, unit rows; zeros where there is no variance left
    Tensor variances;           ///< [k] float64, divided by N − 1
    double total_variance = 0;  ///< of all components, also of those that are not kept

    /// Returns the coordinates of features [M, D]: (x − mean) · componentsᵀ, [M, k] float64.
    Tensor project(const Tensor& features) const {
        const at::NoGradGuard no_grad;
        const Tensor rows = detail::finite_rows("Pca::project", features, 1);
        require(rows.size(1) == mean.size(1), "Pca::project: features must have ", mean.size(1), " dimensions, got ", rows.size(1));
        std::vector<Tensor> parts;
        for (const auto& part : rows.split(detail::rows_at_once))
            parts.push_back((part.to(at::kDouble) - mean).mm(components.t()));
        return at::cat(parts);
    }

    /// Returns the share of the variance in the k components, 0 to 1; 0 if there is no variance.
    double share() const { return total_variance > 0 ? variances.sum().item<double>() / total_variance : 0; }
};

/// Returns the first k principal components of features.
///
/// The sign of a component is that which makes its largest entry positive, so that equal features give equal maps.
/// Shapes: features [N, D], any floating type and device, N ≥ 2, 1 ≤ k ≤ min(N, D). Computed in float64 from the smaller
/// of the two covariance matrices; all tensors are on the features' device.
/// Throws Error for other shapes and types, NaN and infinity.
///
///     const auto pca = eval::fit_pca(bank.rows, 2);
///     Tensor map = pca.project(val.rows);  // [M, 2]
inline Pca fit_pca(const Tensor& features, std::int64_t k) {
    const at::NoGradGuard no_grad;
    const Tensor rows = detail::finite_rows("fit_pca", features);
    const std::int64_t count = rows.size(0), most = std::min(count, rows.size(1));
    require(k >= 1 && k <= most, "fit_pca: ", count, " rows of ", rows.size(1), " dimensions have 1 to ", most,
            " components, got k = ", k);
    Pca pca{.mean = detail::mean_of(rows), .components = {}, .variances = {}};
    Tensor squares, vectors;  // ascending
    if (count < rows.size(1)) {
        const Tensor wide = rows.to(at::kDouble) - pca.mean;
        std::tie(squares, vectors) = at::linalg_eigh(wide.mm(wide.t()).cpu());
        vectors = wide.t().mm(vectors.narrow(1, count - k, k).to(rows.device()));  // [D, k]
        vectors = vectors / vectors.norm(2, 0, true).clamp_min(1e-300);
    } else {
        std::tie(squares, vectors) = at::linalg_eigh(detail::centered_products(rows, pca.mean, rows, pca.mean).cpu());
        vectors = vectors.narrow(1, most - k, k).to(rows.device());
    }
    squares = detail::without_rounding(squares.flip(0)).to(rows.device());
    pca.total_variance = squares.sum().item<double>() / static_cast<double>(count - 1);
    pca.variances = squares.narrow(0, 0, k) / (count - 1);
    const Tensor found = vectors.flip(1).t();                                                          // [k, D]
    const Tensor largest = found.gather(1, found.abs().argmax(1, true)).sign();                        // [k, 1]
    pca.components = (found * largest).masked_fill((pca.variances == 0).unsqueeze(1), 0).contiguous();
    return pca;
}

}  // namespace doppel::eval
