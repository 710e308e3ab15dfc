// SPDX-License-Identifier: Apache-2.0
// Alignment and uniformity: whether views of an image lie close together, and whether images fill the sphere.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/eval/detail/measured_rows.hpp>

#include <ATen/ops/full.h>
#include <ATen/ops/logaddexp.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace doppel::eval {

namespace detail {

inline Tensor unit_rows(const Tensor& rows) { return rows / rows.norm(2, 1, true).clamp_min(1e-12); }

}  // namespace detail

/// Returns the mean distance of two views of an image, to a power:
///
///     mean_n ‖ a_n/‖a_n‖ − b_n/‖b_n‖ ‖^power
///
/// 0 if views make no difference; 2 (power 2) if they have nothing in common. The lower the better, at equal uniformity.
/// Shapes: a, b [N, D], any floating type and device: row n of both belongs to image n.
/// Throws Error for other shapes and types, NaN, infinity, and a power that is not above 0.
/// Source: Wang, Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the
/// Hypersphere", 2020, arXiv:2005.10242.
///
///     double apart = eval::alignment(first_views, second_views);
inline double alignment(const Tensor& a, const Tensor& b, double power = 2) {
    const at::NoGradGuard no_grad;
    require(power > 0 && std::isfinite(power), "alignment: power must be above 0, got ", power);
    const Tensor first = detail::finite_rows("alignment", a, 1, "a"), second = detail::finite_rows("alignment", b, 1, "b");
    require(first.sizes() == second.sizes(), "alignment: a and b must have one shape, got ", first.sizes(), " and ", second.sizes());
    const Tensor distance = (detail::unit_rows(first) - detail::unit_rows(second)).norm(2, 1);
    return distance.to(at::kDouble).pow(power).mean().item<double>();
}

/// Returns how evenly the directions of the features cover the sphere:
///
///     log mean_{n≠m} exp( −t · ‖ z_n/‖z_n‖ − z_m/‖z_m‖ ‖² )
///
/// 0 if all directions are one; near −2t for random directions of many dimensions. The lower the better, at equal
/// alignment.
/// Shapes: features [N, D], any floating type and device, N ≥ 2; each pair counts once. Similarities are computed in
/// the features' precision, by tiles: memory does not grow with N².
/// Throws Error for other shapes and types, NaN, infinity, and a t that is not above 0.
/// Source: as alignment().
///
///     double spread = eval::uniformity(val.rows);
inline double uniformity(const Tensor& features, double t = 2) {
    const at::NoGradGuard no_grad;
    require(t > 0 && std::isfinite(t), "uniformity: t must be above 0, got ", t);
    const Tensor rows = detail::unit_rows(detail::finite_rows("uniformity", features));
    const Autocast full(rows.device().type(), Precision::fp32);
    constexpr double infinity = std::numeric_limits<double>::infinity();
    constexpr std::int64_t side = 1024;
    const std::int64_t count = rows.size(0);
    Tensor sum = at::full({}, -infinity, rows.options().dtype(at::kDouble));  // a logarithm
    for (std::int64_t i = 0; i < count; i += side) {
        const Tensor left = rows.narrow(0, i, std::min(side, count - i));
        for (std::int64_t j = i; j < count; j += side) {
            const Tensor right = rows.narrow(0, j, std::min(side, count - j));
            const Tensor distance = (2 - 2 * left.mm(right.t()).to(at::kDouble)).clamp_min(0);  // squared
            Tensor exponent = distance * -t;
            if (i == j) exponent = (exponent - std::log(2)).fill_diagonal_(-infinity);  // both (n, m) and (m, n)
            sum = at::logaddexp(sum, exponent.flatten().logsumexp(0));
        }
    }
    const auto n = static_cast<double>(count);
    return sum.item<double>() - std::log(n * (n - 1) / 2);
}

}  // namespace doppel::eval
