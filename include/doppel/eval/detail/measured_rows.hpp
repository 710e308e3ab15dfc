// SPDX-License-Identifier: Apache-2.0
// What measures of features share: checks of their rows, sums in float64.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>

#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_eigvalsh.h>
#include <ATen/ops/xlogy.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string_view>

namespace doppel::eval::detail {

inline constexpr std::int64_t rows_at_once = 4096;  // float64 copies are made of so many rows at a time

/// Converts [N, D] of any floating type to float32 (keeps float64), without gradient. `what` names the rows in messages.
/// Throws Error for other shapes and types, and for fewer rows than `least`. No device sync.
inline Tensor measured_rows(std::string_view who, const Tensor& features, std::int64_t least = 2, std::string_view what = "features") {
    require(features.defined() && features.dim() == 2 && features.size(0) >= least && features.size(1) >= 1, who, ": ",
            what, " must be [N, D] with N of at least ", least, ", got ", features.defined() ? features.sizes() : at::IntArrayRef{});
    require(features.is_floating_point(), who, ": ", what, " must be of a floating type, got ", features.scalar_type());
    return features.scalar_type() == at::kDouble ? features.detach() : features.detach().to(at::kFloat);
}

/// As measured_rows(); throws Error for NaN and infinity too.
inline Tensor finite_rows(std::string_view who, const Tensor& features, std::int64_t least = 2, std::string_view what = "features") {
    const Tensor rows = measured_rows(who, features, least, what);
    const Tensor wrong = at::isfinite(rows).all(1).logical_not();  // [N]
    if (const auto count = wrong.sum().item<std::int64_t>(); count > 0)
        fail(who, ": ", count, " of ", rows.size(0), " rows of ", what, " hold NaN or infinity, the first is row ",
             wrong.nonzero()[0][0].item<std::int64_t>(), "; check the weights of the encoder and its input");
    return rows;
}

/// Returns the mean of the rows, [1, D] float64.
inline Tensor mean_of(const Tensor& rows) {
    Tensor sum = at::zeros({1, rows.size(1)}, rows.options().dtype(at::kDouble));
    for (const auto& part : rows.split(rows_at_once)) sum += part.to(at::kDouble).sum(0, true);
    return sum / rows.size(0);
}

/// Returns Σ_n (a_n − mean_a)ᵀ (b_n − mean_b), [D, E] float64, for a [N, D] and b [N, E].
inline Tensor centered_products(const Tensor& a, const Tensor& mean_a, const Tensor& b, const Tensor& mean_b) {
    Tensor sum = at::zeros({a.size(1), b.size(1)}, mean_a.options());
    for (std::int64_t from = 0; from < a.size(0); from += rows_at_once) {
        const auto part = [&](const Tensor& rows, const Tensor& mean) {
            return rows.narrow(0, from, std::min(rows_at_once, rows.size(0) - from)).to(at::kDouble) - mean;
        };
        sum.addmm_(part(a, mean_a).t(), part(b, mean_b));
    }
    return sum;
}

/// Replaces eigenvalues of an [n, n] matrix that are 0 but for rounding by 0.
inline Tensor without_rounding(const Tensor& eigenvalues) {
    const double rounding = static_cast<double>(eigenvalues.size(0)) * std::numeric_limits<double>::epsilon();
    return eigenvalues.masked_fill(eigenvalues <= eigenvalues.max() * rounding, 0);
}

/// Returns the eigenvalues of a positive semidefinite matrix [n, n] float64, largest first: [n] on the CPU.
inline Tensor eigenvalues_of(const Tensor& matrix) { return without_rounding(at::linalg_eigvalsh(matrix.cpu()).flip(0)); }

/// Returns the squared singular values of [N, D] float64, largest first: [min(N, D)] on the CPU. They are the
/// eigenvalues of the smaller Gram matrix, which takes a fraction of the time of a singular value decomposition.
inline Tensor squared_singular_values(const Tensor& rows) {
    return eigenvalues_of(rows.size(0) < rows.size(1) ? rows.mm(rows.t()) : rows.t().mm(rows));
}

/// Returns exp(−Σ p log p) with p = values / Σ values, values ≥ 0: how many values count. 1 if all are 0.
inline double effective_count(const Tensor& values) {
    const Tensor p = values / values.sum().clamp_min(std::numeric_limits<double>::min());
    return (-at::xlogy(p, p).sum()).exp().item<double>();
}

}  // namespace doppel::eval::detail
