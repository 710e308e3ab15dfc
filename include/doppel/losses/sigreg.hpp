// SPDX-License-Identifier: Apache-2.0
// SIGReg: regularizes embeddings to a standard normal along random directions; LeJEPA's loss.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/losses/detail/rows.hpp>

#include <cstdint>
#include <limits>
#include <vector>

namespace doppel::losses {

/// LeJEPA: views close to their mean, and the embeddings of each view distributed as an isotropic Gaussian.
///
///     L = λ T + (1 − λ) · mean_{v,n,d} (z_vnd − c_nd)²,   c the mean of the global views
///     T = mean_{v,k} N ∫ |φ_vk(t) − e^{−t²/2}|² e^{−t²/2} dt,   φ_vk(t) = 1/N Σ_n exp(i t z_vn·a_k)
///
/// T is the Epps-Pulley statistic along K random unit directions a_k, drawn in each call from torch's generator of the
/// device, with the integral from −t_max to t_max by the trapezoid rule, with `knots` points on t ≥ 0.
/// Shapes: V ≥ 1 views' embeddings [N, D] in Outputs::online, any floating type, not normalized. Result: scalar,
/// float32 (float64 for float64 inputs). Needs no target, predictor or stop-gradient. Memory: about V·N·K·knots values.
/// Numerics: float32, also under autocast. T is 0.40 N for embeddings that are all zero, about 1.05 for normal ones.
/// Accumulated gradients: the statistic is that of the micro-batch.
/// Differs: the paper's algorithm 1 has 17 points from −5 to 5; this is the authors' later code. lightly's name is
/// LeJEPALoss.
/// Throws Error for options out of range, and for mismatched shapes.
/// Source: Balestriero, LeCun, "LeJEPA: Provable and Scalable Self-Supervised Learning Without the Heuristics", 2025,
/// arXiv:2511.08544, algorithms 1 and 2.
///
///     Recipe{..., .projector = heads::Mlp{.hidden = {2048, 2048}, .out = 128}, .loss = losses::Sigreg{}}
struct Sigreg {
    double lambda = 0.05;            ///< λ from 0 to 1, weight of the statistic; paper: 0.01 to 0.1
    std::int64_t directions = 1024;  ///< K ≥ 1
    std::int64_t knots = 17;         ///< quadrature points on t ≥ 0, ≥ 2
    double t_max = 3;                ///< > 0, end of the integral
    std::int64_t globals = 0;        ///< the center is the mean of this many views, from the first; 0: all

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
        return lambda * statistic(z.matmul(unit)) + (1 - lambda) * (z - center).pow(2).mean();
    }

private:
    /// Returns the mean statistic of projections x [V, N, K].
    Tensor statistic(const Tensor& x) const {
        const double step = t_max / static_cast<double>(knots - 1);
        const Tensor t = at::linspace(0, t_max, knots, x.options());
        const Tensor normal = (t * t / -2).exp();
        Tensor weights = normal * (2 * step);  // both halves of the axis
        weights.narrow(0, 0, 1).div_(2);
        weights.narrow(0, knots - 1, 1).div_(2);
        const Tensor angles = x.unsqueeze(3) * t;                                                     // [V, N, K, T]
        const Tensor error = (angles.cos().mean(1) - normal).pow(2) + angles.sin().mean(1).pow(2);    // [V, K, T]
        return error.matmul(weights).mean() * static_cast<double>(x.size(1));
    }

    std::vector<Tensor> checked(const Outputs& out) const {
        require(lambda >= 0 && lambda <= 1, "Sigreg: lambda must lie between 0 and 1, got ", lambda);
        require(directions >= 1, "Sigreg: directions must be at least 1, got ", directions);
        require(knots >= 2, "Sigreg: knots must be at least 2, got ", knots);
        require(t_max > 0 && t_max < std::numeric_limits<double>::infinity(),
                "Sigreg: t_max must be positive and finite, got ", t_max);
        std::vector<Tensor> views;
        for (const Tensor& z : out.online)
            if (z.defined()) views.push_back(z);
        require(!views.empty(), "Sigreg: needs at least one view of an image");
        for (const Tensor& z : views) detail::require_pair("Sigreg", views[0], z);
        require(globals >= 0 && globals <= static_cast<std::int64_t>(views.size()),
                "Sigreg: globals must be from 0 to the ", views.size(), " views, got ", globals);
        return views;
    }
};

static_assert(contracts::OutputsLoss<Sigreg>);

}  // namespace doppel::losses
