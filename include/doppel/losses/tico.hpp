// SPDX-License-Identifier: Apache-2.0
// TiCo: views agree, and embeddings keep away from the directions that past embeddings took.
#pragma once

#include <doppel/core/batch.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/losses/detail/rows.hpp>

#include <cstdint>
#include <limits>

namespace doppel::losses {

/// Transformation invariance and covariance contrast, with a moving average C of the embeddings' second moments:
///
///     L = 1 − 1/N Σ_i ẑ0_i·ẑ1_i + ρ/N Σ_i ẑ0_iᵀ C ẑ0_i,   C = β C₋ + (1 − β)/N Σ_i ẑ0_i ẑ0_iᵀ,   ẑ = z / ‖z‖
///
/// Shapes: z0, z1 [N, D], any floating type, need not be normalized; view 0 is the online branch, view 1 the target,
/// once. Result: scalar, float32 (float64 for float64 inputs). No gradient flows through C.
/// C [D, D] is state (`loss.covariance`), zero at first: the loss reads C₋, commit() writes C. Of several passes before
/// one commit() each reads the same C₋, and each is one update.
/// Numerics: float32, also under autocast. Collapsed embeddings give ρ(1 − β) at first and rise to ρ; views that
/// agree and are spread evenly over D dimensions end at ρ/D.
/// Differs: in lightly's TiCoLoss C is an attribute that no checkpoint holds and that the loss itself overwrites.
/// Throws Error for β outside 0 … 1, a negative or non-finite ρ, and for mismatched shapes.
/// Source: Zhu, Moraes, Karakulak, Sobol, Canziani, LeCun, "TiCo: Transformation Invariance and Covariance Contrast for
/// Self-Supervised Visual Representation Learning", 2022, arXiv:2206.10698, section 3.
///
///     Recipe{..., .target = targets::Ema{...}, .loss = losses::Tico{}}
struct Tico {
    double beta = 0.9;    ///< β, share of the old C, from 0 to 1
    double rho = 8;       ///< ρ ≥ 0, weight of the covariance term
    Tensor covariance{};  ///< state: C [D, D]; do not set

    void build(std::int64_t dim) {
        check();
        covariance = at::zeros({dim, dim}, at::kFloat);
    }
    template <class Visitor>
    void state(Visitor&& visit) {
        visit("covariance", covariance);
    }

    Tensor operator()(const Tensor& z0, const Tensor& z1) const {
        check();
        detail::require_pair("TiCo", z0, z1);
        const auto d = z0.size(1);
        require(covariance.defined() && covariance.size(0) == d, "TiCo: C must be [", d, ", ", d, "], got ",
                covariance.defined() ? covariance.sizes() : at::IntArrayRef{}, "; call build(", d, ") first");
        const Autocast float32(z0.device().type(), Precision::fp32);
        const Tensor a = detail::unit_rows(z0), b = detail::unit_rows(z1);
        const Tensor c = covariance.to(a.scalar_type()) * beta + moments(a) * (1 - beta);             // [D, D]
        return 1 - (a * b).sum(1).mean() + rho * (a.mm(c) * a).sum(1).mean();
    }

    void commit(const Outputs& out) {
        const at::NoGradGuard no_grad;
        const Autocast float32(out.online[0].device().type(), Precision::fp32);
        const Tensor seen = moments(detail::unit_rows(out.online[0]));
        covariance.mul_(beta).add_(seen.to(covariance.scalar_type()), 1 - beta);
    }

private:
    void check() const {
        require(beta >= 0 && beta <= 1, "TiCo: beta must lie between 0 and 1, got ", beta);
        require(rho >= 0 && rho < std::numeric_limits<double>::infinity(),
                "TiCo: rho must be at least 0 and finite, got ", rho);
    }
    static Tensor moments(const Tensor& rows) {
        const Tensor z = rows.detach();
        return z.t().mm(z) / static_cast<double>(z.size(0));
    }
};

}  // namespace doppel::losses
