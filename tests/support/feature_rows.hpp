// SPDX-License-Identifier: Apache-2.0
// Features by formula, those of tests/reference/make_measures_fixtures.py.
#pragma once

#include "support/torch_support.hpp"

#include <ATen/ops/linalg_qr.h>

#include <limits>

namespace doppel::test {

/// Features [n, d] float64 whose dimensions differ in spread, with a mean that is not 0.
inline Tensor feature_rows(std::int64_t n, std::int64_t d, double a, double b) {
    return chirp({n, d}, a, b) * at::arange(1, d + 1, at::kDouble).pow(-0.7) + 0.3;
}
inline Tensor tall_features() { return feature_rows(120, 12, 0.13, 0.9); }
inline Tensor wide_features() { return feature_rows(9, 14, 0.13, 0.9); }

/// [n, d] random normal numbers, float32.
inline Tensor normal_rows(at::IntArrayRef shape, std::uint64_t seed) {
    at::manual_seed(seed);
    return at::randn(shape);
}

/// Rows with NaN in row 2 and infinity in row 4.
inline Tensor damaged_features(std::int64_t n = 12, std::int64_t d = 5) {
    Tensor rows = normal_rows({n, d}, 1);
    rows[2][1] = std::numeric_limits<float>::quiet_NaN();
    rows[4][0] = std::numeric_limits<float>::infinity();
    return rows;
}

/// An orthogonal matrix [d, d] float64.
inline Tensor rotation(std::int64_t d, std::uint64_t seed) { return std::get<0>(at::linalg_qr(normal_rows({d, d}, seed).to(at::kDouble))); }

inline void check_close(const Tensor& found, const std::vector<double>& expected, double margin) {
    const Tensor flat = found.to(at::kDouble).contiguous().flatten();
    REQUIRE(flat.numel() == static_cast<std::int64_t>(expected.size()));
    for (std::int64_t i = 0; i < flat.numel(); ++i)
        CHECK(flat.const_data_ptr<double>()[i] == Approx(expected[static_cast<std::size_t>(i)]).epsilon(0).margin(margin));
}
inline void check_close(const std::vector<double>& found, const std::vector<double>& expected, double margin) {
    check_close(at::tensor(found, at::kDouble), expected, margin);
}

}  // namespace doppel::test
