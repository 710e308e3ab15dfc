// SPDX-License-Identifier: Apache-2.0
// Centered kernel alignment: how alike two networks see the same images.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/eval/detail/measured_rows.hpp>

#include <ATen/ops/cat.h>

#include <cmath>
#include <cstdint>
#include <string_view>
#include <vector>

namespace doppel::eval {

struct CkaOptions {
    bool debiased = false;  ///< the unbiased estimate of the dependence: for fewer images than a few times the dimensions
};

namespace detail {

/// Rows [N, D] with what centers them.
struct Centered {
    Tensor rows, mean;  // mean [1, D] float64
    Tensor squares;     // [N] float64, squared norms of the centered rows
    double size;        // their sum
};

inline Centered centered(std::string_view name, const Tensor& rows) {
    Centered result{.rows = rows, .mean = mean_of(rows), .squares = {}, .size = 0};
    std::vector<Tensor> squares;
    double raw = 0;
    for (const auto& part : rows.split(rows_at_once)) {
        const Tensor wide = part.to(at::kDouble);
        raw += wide.square().sum().item<double>();
        squares.push_back((wide - result.mean).square().sum(1));
    }
    result.squares = at::cat(squares);
    result.size = result.squares.sum().item<double>();
    require(result.size > raw * 1e-12, "linear_cka: ", name, " has the same features for all ", rows.size(0),
            " images, so there is nothing to compare: the network has collapsed");
    return result;
}

}  // namespace detail

/// Returns the linear CKA of two networks' features of the same images, 0 to 1:
///
///     ‖AᵀB‖² / ( ‖AᵀA‖ · ‖BᵀB‖ ),   A, B centered, ‖·‖ Frobenius
///
/// 1 if the features agree up to a rotation, a scale and a shift. With few images, features that have nothing in common
/// seem alike (near 1 for N < D). `debiased` has the expected value 0 for them, whatever N; it may be slightly below 0.
/// Shapes: a [N, D], b [N, E], any floating type, one device; row n of both belongs to image n. N ≥ 2, debiased N ≥ 4.
/// Computed in float64, in portions of rows: memory for three matrices [D, D], [D, E], [E, E].
/// Throws Error for other shapes and types, NaN, infinity, and features that are the same for all images.
/// Source: Kornblith, Norouzi, Lee, Hinton, "Similarity of Neural Network Representations Revisited", 2019,
/// arXiv:1905.00414; debiased: Song et al., "Feature Selection via Dependence Maximization", JMLR 2012, equation 5, and
/// Nguyen, Raghu, Kornblith, 2020, arXiv:2010.15327.
///
///     double alike = eval::linear_cka(early.rows, late.rows);
inline double linear_cka(const Tensor& a, const Tensor& b, const CkaOptions& options = {}) {
    const at::NoGradGuard no_grad;
    const std::int64_t least = options.debiased ? 4 : 2;
    const Tensor x = detail::finite_rows("linear_cka", a, least, "a"), y = detail::finite_rows("linear_cka", b, least, "b");
    require(x.size(0) == y.size(0), "linear_cka: a and b must be of the same images, got ", x.size(0), " and ", y.size(0), " rows");
    require(x.device() == y.device(), "linear_cka: a and b must be on one device, got ", x.device(), " and ", y.device());
    const auto of_a = detail::centered("a", x), of_b = detail::centered("b", y);
    const auto dependence = [&](const detail::Centered& p, const detail::Centered& q) {
        const double all = detail::centered_products(p.rows, p.mean, q.rows, q.mean).square().sum().item<double>();
        if (!options.debiased) return all;
        // The Gram matrices have row sums of 0; without their diagonals, which bias the estimate, minus the diagonal.
        const auto n = static_cast<double>(x.size(0));
        const double both = p.squares.dot(q.squares).item<double>();
        return all - both + p.size * q.size / ((n - 1) * (n - 2)) - 2 * both / (n - 2);
    };
    return dependence(of_a, of_b) / std::sqrt(dependence(of_a, of_a) * dependence(of_b, of_b));
}

}  // namespace doppel::eval
