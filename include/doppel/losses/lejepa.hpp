// SPDX-License-Identifier: Apache-2.0
// LeJEPA's loss: views close to their mean, embeddings regularized by SIGReg.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/core/training_step.hpp>
#include <doppel/losses/detail/rows.hpp>
#include <doppel/losses/sigreg.hpp>

#include <ATen/ops/randn.h>
#include <ATen/ops/stack.h>

#include <cstdint>
#include <vector>

namespace doppel::losses {

/// LeJEPA: views close to their mean, and the embeddings of each view distributed as an isotropic Gaussian.
///
///     L = λ T + (1 − λ) · mean_{v,n,d} (z_vnd − c_nd)²,   c the mean of the global views
///
/// T is SIGReg's statistic (losses/sigreg.hpp) along K random unit directions, drawn in each call from torch's
/// generator of the device.
/// Shapes: V ≥ 1 views' embeddings [N, D] in Outputs::online, any floating type, not normalized. Result: scalar,
/// float32 (float64 for float64 inputs). Needs no target, predictor or stop-gradient. Memory: as Sigreg.
/// Numerics: float32, also under autocast. T is 0.40 N for embeddings that are all zero, about 1.05 for normal ones.
/// Accumulated gradients: the statistic is that of the micro-batch.
/// On several processes it is given the embeddings of all, so that all have the same directions and statistic.
/// Differs: the paper's algorithm 1 has 17 points from −5 to 5; this is the authors' later code. lightly's name is
/// LeJEPALoss.
/// Throws Error for options out of range, and for mismatched shapes.
/// Source: Balestriero, LeCun, "LeJEPA: Provable and Scalable Self-Supervised Learning Without the Heuristics", 2025,
/// arXiv:2511.08544, algorithms 1 and 2.
///
///     Recipe{..., .projector = heads::Mlp{.hidden = {2048, 2048}, .out = 128}, .loss = losses::Lejepa{}}
struct Lejepa {
    double lambda = 0.05;            ///< λ from 0 to 1, weight of the statistic; paper: 0.01 to 0.1
    std::int64_t directions = 1024;  ///< K ≥ 1
    std::int64_t knots = 17;         ///< quadrature points on t ≥ 0, ≥ 2
    double t_max = 3;                ///< > 0, end of the integral
    std::int64_t globals = 0;        ///< the center is the mean of this many views, from the first; 0: all

    std::vector<double> host_numbers(const TrainingStep&) const { return {}; }  // of the tensors alone

    Tensor operator()(const Outputs& out) const {
        const auto views = checked(out);
        const auto options = detail::at_least_float(views[0]).options();
        return with_directions(out, at::randn({views[0].size(1), directions}, options));
    }

    /// Returns the loss for given directions [D, K], which need not have unit length.
    Tensor with_directions(const Outputs& out, const Tensor& a) const {
        const auto views = checked(out);
        const Autocast float32(views[0].device().type(), Precision::fp32);
        const Tensor z = detail::at_least_float(at::stack(views));                                    // [V, N, D]
        const Tensor unit = a / a.norm(2, 0, true);
        const Tensor center = z.narrow(0, 0, globals > 0 ? globals : z.size(0)).mean(0);              // [N, D]
        return lambda * sigreg().statistic(z.matmul(unit)) + (1 - lambda) * (z - center).pow(2).mean();
    }

private:
    Sigreg sigreg() const { return {.directions = directions, .knots = knots, .t_max = t_max}; }

    std::vector<Tensor> checked(const Outputs& out) const {
        require(lambda >= 0 && lambda <= 1, "Lejepa: lambda must lie between 0 and 1, got ", lambda);
        sigreg().check("Lejepa");
        std::vector<Tensor> views;
        for (const Tensor& z : out.online)
            if (z.defined()) views.push_back(z);
        require(!views.empty(), "Lejepa: needs at least one view of an image");
        for (const Tensor& z : views) detail::require_pair("Lejepa", views[0], z);
        require(globals >= 0 && globals <= static_cast<std::int64_t>(views.size()),
                "Lejepa: globals must be from 0 to the ", views.size(), " views, got ", globals);
        return views;
    }
};

static_assert(contracts::OutputsLoss<Lejepa>);

}  // namespace doppel::losses
