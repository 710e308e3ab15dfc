// SPDX-License-Identifier: Apache-2.0
// Numbers that tell a representation that has collapsed from a healthy one.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>

#include <string_view>

namespace doppel::eval {

namespace detail {

/// [N, D], any floating type → float32 (float64 stays), without gradient.
inline Tensor collapse_rows(std::string_view who, const Tensor& features) {
    require(features.defined() && features.dim() == 2 && features.size(0) >= 2 && features.size(1) >= 1, who,
            ": features must be [N, D] with N of at least 2, got ",
            features.defined() ? features.sizes() : at::IntArrayRef{});
    require(features.is_floating_point(), who, ": features must be of a floating type, got ", features.scalar_type());
    return features.scalar_type() == at::kDouble ? features.detach() : features.detach().to(at::kFloat);
}

}  // namespace detail

/// Mean over the dimensions of the standard deviation, over the batch, of unit-norm rows:
///
///     1/D Σ_d std_n( z_nd / ‖z_n‖ )
///
/// 0 when all rows point one way; about 1/√D when they point everywhere (0.0442 for D = 512).
/// Shapes: features [N, D], any floating type and device, N ≥ 2, need not be normalised. Result: scalar tensor, float32
/// (float64 for float64); nothing is read back, so it can be logged each step. The deviation divides by N − 1.
/// Source: Chen, He, "Exploring Simple Siamese Representation Learning", 2020, arXiv:2011.10566, section 4.1.
///
///     Tensor std = eval::feature_std(outputs.features[0]);   // std.item<double>() when it is time to log
inline Tensor feature_std(const Tensor& features) {
    const at::NoGradGuard no_grad;
    const Tensor rows = detail::collapse_rows("feature_std", features);
    const Tensor unit = rows / rows.norm(2, 1, true).clamp_min(1e-12);
    return unit.std(0).mean();
}

/// How many dimensions the features really use, between 1 and min(N, D):
///
///     exp( − Σ_i p_i log p_i ),   p_i = σ_i / Σ_j σ_j,   σ the singular values of the [N, D] matrix
///
/// Rows are taken as they are (not centred, not normalised); the scale of the whole does not matter. Equal rows give 1,
/// an orthogonal matrix gives its rank, zeros give 1. Result: scalar tensor, float32 (float64 for float64).
/// Cost: a singular value decomposition, which on a GPU waits for the device: for evaluations, not for each step.
/// Source: Roy, Vetterli, "The effective rank", EUSIPCO 2007; as a measure of self-supervised features: Garrido et al.,
/// "RankMe", 2022, arXiv:2210.02885.
///
///     double rank = eval::effective_rank(val.rows).item<double>();
inline Tensor effective_rank(const Tensor& features) {
    const at::NoGradGuard no_grad;
    const Tensor rows = detail::collapse_rows("effective_rank", features);
    const Autocast full(rows.device().type(), Precision::fp32);
    const Tensor largest = rows.abs().max();
    const Tensor sigma = at::linalg_svdvals(rows / at::where(largest > 0, largest, at::ones_like(largest)));
    const Tensor p = sigma / sigma.sum().clamp_min(1e-12);
    return (-at::xlogy(p, p).sum()).exp();
}

}  // namespace doppel::eval
