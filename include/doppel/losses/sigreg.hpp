// SPDX-License-Identifier: Apache-2.0
// SIGReg: regularizes embeddings to a standard normal along random directions.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/core/training_step.hpp>
#include <doppel/losses/detail/characteristic.hpp>
#include <doppel/losses/detail/rows.hpp>

#include <ATen/ops/linspace.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/stack.h>

#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

namespace doppel::losses {

/// The Epps-Pulley statistic of the embeddings' projections on K random unit directions a_k, for a Sum or as a part of
/// LeJEPA:
///
///     T = mean_{v,k} N ∫ |φ_vk(t) − e^{−t²/2}|² e^{−t²/2} dt,   φ_vk(t) = 1/N Σ_n exp(i t z_vn·a_k)
///
/// Directions are drawn in each call from torch's generator of the device. The integral from −t_max to t_max is
/// computed by the trapezoid rule, with `knots` points on t ≥ 0.
/// Shapes: V ≥ 1 views' embeddings [N, D] in Outputs::online, any floating type, not normalized. Result: scalar,
/// float32 (float64 for float64 inputs). Memory: about V·(N + knots)·K values; the angles are made in portions, with
/// first derivatives only.
/// Numerics: float32, also under autocast. T is 0.40 N for embeddings that are all zero, about 1.05 for normal ones.
/// On several processes it is given the embeddings of all, so that all have the same directions and statistic.
/// Throws Error for options out of range, and for mismatched shapes.
/// Source: Balestriero, LeCun, "LeJEPA", 2025, arXiv:2511.08544, algorithm 1.
///
///     losses::Sum{losses::Weighted{1.0, losses::NtXent{}}, losses::Weighted{0.1, losses::Sigreg{}}}
struct Sigreg {
    std::int64_t directions = 1024;  ///< K ≥ 1
    std::int64_t knots = 17;         ///< quadrature points on t ≥ 0, ≥ 2
    double t_max = 3;                ///< > 0, end of the integral

    std::vector<double> host_numbers(const TrainingStep&) const { return {}; }  // of the tensors alone

    Tensor operator()(const Outputs& out) const {
        check("Sigreg");
        std::vector<Tensor> views;
        for (const Tensor& z : out.online)
            if (z.defined()) views.push_back(z);
        require(!views.empty(), "Sigreg: needs at least one view of an image");
        for (const Tensor& z : views) detail::require_pair("Sigreg", views[0], z);
        const Autocast float32(views[0].device().type(), Precision::fp32);
        const Tensor z = detail::at_least_float(at::stack(views));                                    // [V, N, D]
        const Tensor a = at::randn({z.size(2), directions}, z.options());
        return statistic(z.matmul(a / a.norm(2, 0, true)));
    }

    /// Returns the mean statistic of projections x [V, N, K].
    Tensor statistic(const Tensor& x) const {
        const double step = t_max / static_cast<double>(knots - 1);
        const Tensor t = at::linspace(0, t_max, knots, x.options());
        const Tensor normal = (t * t / -2).exp();
        Tensor weights = normal * (2 * step);  // both halves of the axis
        weights.narrow(0, 0, 1).div_(2);
        weights.narrow(0, knots - 1, 1).div_(2);
        const auto [cosine, sine] = detail::characteristic(x, t);                                     // [V, K, T]
        const Tensor error = (cosine - normal).pow(2) + sine.pow(2);                                  // [V, K, T]
        return error.matmul(weights).mean() * static_cast<double>(x.size(1));
    }

    /// Throws Error for options out of range.
    void check(std::string_view who) const {
        require(directions >= 1, who, ": directions must be at least 1, got ", directions);
        require(knots >= 2, who, ": knots must be at least 2, got ", knots);
        require(t_max > 0 && t_max < std::numeric_limits<double>::infinity(), who,
                ": t_max must be positive and finite, got ", t_max);
    }
};

static_assert(contracts::OutputsLoss<Sigreg>);

}  // namespace doppel::losses
