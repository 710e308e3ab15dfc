// SPDX-License-Identifier: Apache-2.0
// Rows in the coordinates of their principal directions.
#pragma once

#include <doppel/core/tensor.hpp>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace doppel::eval::detail {

/// A rotation of centered (and standardized) rows to their principal directions, R of them with variance:
///
///     z = (x − mean) / deviation · V
///
/// A penalty on the length of weights is the same in these coordinates, in which an optimizer knows the curvature of each one.
/// Directions without variance (constant or repeated features; more features than rows) are left out: penalized weights are
/// zero there.
struct PrincipalRows {
    Tensor mean;      ///< [F]
    Tensor map;       ///< [F, R], V / deviation
    Tensor variance;  ///< [R] float64 on the CPU, along the directions
    Tensor rows;      ///< [N, R + 1], z and a column of ones
};

/// Returns rows [N, F], float32 or float64, in these coordinates; statistics are computed in float64. A feature whose deviation
/// is within rounding of its mean is constant.
inline PrincipalRows principal_rows(const Tensor& rows, bool standardize) {
    const std::int64_t count = rows.size(0), features = rows.size(1);
    constexpr std::int64_t tile = 4096;
    const auto wide = rows.options().dtype(at::kDouble);
    const Tensor mean = rows.mean({0}, false, at::kDouble);  // [F]
    const auto centered = [&](std::int64_t from) {
        return rows.narrow(0, from, std::min(tile, count - from)).to(at::kDouble) - mean;
    };
    Tensor squares = at::zeros({features}, wide);
    for (std::int64_t from = 0; from < count; from += tile) squares += centered(from).square().sum(0);
    const Tensor deviation = (squares / static_cast<double>(count)).sqrt();
    const Tensor varies = deviation > mean.abs() * (rows.scalar_type() == at::kDouble ? 1e-13 : 1e-6);
    const Tensor inverse = at::where(varies, standardize ? deviation.reciprocal() : at::ones_like(deviation), 0.0);

    // The eigenvectors of the smaller one of the two products: of features, or of rows.
    const bool by_rows = count < features;
    Tensor gram, all;
    if (by_rows) {
        std::vector<Tensor> parts;
        for (std::int64_t from = 0; from < count; from += tile) parts.push_back(centered(from) * inverse);
        all = at::cat(parts);
        gram = all.mm(all.t());
    } else {
        gram = at::zeros({features, features}, wide);
        for (std::int64_t from = 0; from < count; from += tile) {
            const Tensor part = centered(from) * inverse;
            gram.addmm_(part.t(), part);
        }
    }
    auto [values, vectors] = at::linalg_eigh(gram.cpu() / static_cast<double>(count));
    const double largest = std::max(values[-1].item<double>(), 0.0);
    const auto rank = largest == 0 ? 0 : (values > 1e-10 * largest).sum().item<std::int64_t>();
    const std::int64_t first = values.size(0) - rank;
    PrincipalRows result{.mean = mean, .map = {}, .variance = values.narrow(0, first, rank), .rows = {}};
    Tensor directions = vectors.narrow(1, first, rank).to(rows.device());  // [F or N, R]
    if (by_rows)
        directions = all.t().mm(directions) / (result.variance.to(rows.device()) * static_cast<double>(count)).sqrt();
    result.map = inverse.unsqueeze(1) * directions;

    result.rows = at::empty({count, rank + 1}, rows.options());
    result.rows.narrow(1, rank, 1).fill_(1);
    const Tensor center = mean.to(rows.scalar_type()), map = result.map.to(rows.scalar_type());
    for (std::int64_t from = 0; from < count; from += tile) {
        const std::int64_t size = std::min(tile, count - from);
        result.rows.narrow(0, from, size).narrow(1, 0, rank).copy_((rows.narrow(0, from, size) - center).mm(map));
    }
    return result;
}

}  // namespace doppel::eval::detail
