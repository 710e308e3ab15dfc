// SPDX-License-Identifier: Apache-2.0
// TiCo: aligns views, and repels embeddings from the directions of past embeddings.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/collectives.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/core/training_step.hpp>
#include <doppel/losses/detail/rows.hpp>

#include <ATen/ops/zeros.h>

#include <cstdint>
#include <limits>
#include <vector>

namespace doppel::losses {

/// Transformation invariance and covariance contrast, with a moving average C of the embeddings' second moments:
///
///     L = 1 − 1/N Σ_i ẑ0_i·ẑ1_i + ρ/N Σ_i ẑ0_iᵀ C ẑ0_i,   C = β C₋ + (1 − β)/N Σ_i ẑ0_i ẑ0_iᵀ,   ẑ = z / ‖z‖
///
/// Paired once: view 0 in the online branch, view 1 in the target branch.
/// Shapes: z0, z1 [N, D], any floating type, need not be normalized. Result: scalar, float32 (float64 for float64
/// inputs). No gradient flows through C.
/// C [D, D] is state (`loss.covariance`), initially zero: the loss reads C₋, commit() writes C. Several forward passes
/// before one commit() read the same C₋; each is an update.
/// Numerics: float32, also under autocast. Collapsed embeddings yield ρ(1 − β) at first, rising to ρ; equal views
/// spread evenly over D dimensions yield ρ/D in the end.
/// Differs: in lightly's TiCoLoss, C is an attribute that is not in checkpoints and is updated by the loss itself.
/// Throws Error for β outside 0 … 1, a negative or non-finite ρ, and for mismatched shapes.
/// Source: Zhu, Moraes, Karakulak, Sobol, Canziani, LeCun, "TiCo: Transformation Invariance and Covariance Contrast for
/// Self-Supervised Visual Representation Learning", 2022, arXiv:2206.10698, section 3.
///
///     Recipe{..., .target = targets::Ema{...}, .loss = losses::Tico{}}
struct Tico {
    double beta = 0.9;    ///< β, weight of the old C, from 0 to 1
    double rho = 8;       ///< ρ ≥ 0, weight of the covariance term
    Tensor covariance{};  ///< state: C [D, D]; do not set
    Group group{};        ///< set by join(): C is that of the images of all processes

    void join(const Group& with) { group = with; }

    void build(std::int64_t dim) {
        check();
        covariance = at::zeros({dim, dim}, at::kFloat);
    }
    template <class Visitor>
    void state(Visitor&& visit) {
        visit("covariance", covariance);
    }

    std::vector<double> host_numbers(const TrainingStep&) const { return {}; }  // of the tensors alone

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
    Tensor moments(const Tensor& rows) const {
        const Tensor z = rows.detach();
        return summed(z.t().mm(z), group) / static_cast<double>(group.all_rows(z.size(0)));
    }
};

static_assert(contracts::PairLoss<Tico> && contracts::HasState<Tico> && contracts::Builds<Tico> &&
              contracts::Commits<Tico>);

}  // namespace doppel::losses
