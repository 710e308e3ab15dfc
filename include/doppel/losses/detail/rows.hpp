// SPDX-License-Identifier: Apache-2.0
// Shape checks and unit rows in float32, shared by the losses.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>

#include <limits>
#include <string_view>

namespace doppel::losses::detail {

/// Throws Error unless both tensors are [N, D] of equal shape, on one device, with floating-point values.
inline void require_pair(std::string_view who, const Tensor& a, const Tensor& b) {
    require(a.defined() && a.dim() == 2, who, ": the first input must be [N, D], got ",
            a.defined() ? a.sizes() : at::IntArrayRef{});
    require(b.defined() && b.sizes() == a.sizes(), who, ": the second input must be ", a.sizes(),
            " like the first, got ", b.defined() ? b.sizes() : at::IntArrayRef{});
    require(a.is_floating_point() && b.is_floating_point(), who, ": inputs must have floating-point values, got ",
            a.dtype(), " and ", b.dtype());
    require(a.device() == b.device(), who, ": inputs must be on one device, got ", a.device(), " and ", b.device());
}

inline void require_temperature(std::string_view who, double temperature) {
    require(temperature > 0 && temperature < std::numeric_limits<double>::infinity(), who,
            ": temperature must be positive and finite, got ", temperature);
}

/// Converts half types to float32; keeps float32 and float64.
inline Tensor at_least_float(const Tensor& x) { return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat); }

/// Returns x / max(‖x‖, eps) for each row, in float32 or float64.
inline Tensor unit_rows(const Tensor& x, double eps = 1e-12) {
    const Tensor wide = at_least_float(x);
    return wide / wide.norm(2, 1, true).clamp_min(eps);
}

}  // namespace doppel::losses::detail
