// SPDX-License-Identifier: Apache-2.0
// t-SNE: a map in two dimensions that keeps neighbors together.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/random.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/eval/detail/measured_rows.hpp>
#include <doppel/eval/pca.hpp>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/xlogy.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <tuple>
#include <utility>

namespace doppel::eval {

struct TsneOptions {
    double perplexity = 0;          ///< effective neighbors of a point, > 1; 0: 30, or a third of the others if that is less
    std::int64_t iterations = 750;  ///< steps of gradient descent, ≥ 1; the first third, at most 250, exaggerates neighbors
    std::uint64_t seed = 1;         ///< of the small noise that separates equal points
};

namespace detail {

/// Rows of an [N, N] matrix per tile, so that a tile stays in the processor's cache.
inline std::int64_t tsne_tile(std::int64_t count) { return std::max<std::int64_t>(1, (std::int64_t{1} << 17) / count); }

/// Returns the affinities of t-SNE, [N, N] with sum 1, symmetric, diagonal 0, in the rows' type: Gaussian neighborhoods
/// around each row whose width gives the entropy log(perplexity), averaged over both directions.
inline Tensor tsne_affinities(const Tensor& rows, double perplexity) {
    const std::int64_t count = rows.size(0), tile = tsne_tile(count);
    const Tensor wide = rows.to(at::kDouble) - mean_of(rows);
    const Tensor squares = wide.square().sum(1);  // [N]
    const Tensor affinities = at::empty({count, count}, rows.options());
    for (std::int64_t from = 0; from < count; from += tile) {
        const Tensor part = wide.narrow(0, from, std::min(tile, count - from));
        Tensor distance = (part.square().sum(1, true) + squares - 2 * part.mm(wide.t())).clamp_min(0);  // [T, N] squared
        // In units of the mean distance, from the nearest on: neither changes the result.
        distance = distance / distance.mean(1, true).clamp_min(1e-300);
        distance.diagonal(from).fill_(1e300);
        distance = distance - std::get<0>(distance.min(1, true));
        distance.diagonal(from).zero_();
        distance = distance.to(rows.scalar_type());
        Tensor low = at::full({part.size(0), 1}, -30.0, distance.options()), high = -low;  // log of the precision
        Tensor p, sum;
        for (int halving = 0; halving < 32; ++halving) {
            const Tensor middle = (low + high) / 2, precision = middle.exp();
            p = (distance * -precision).exp_();
            p.diagonal(from).zero_();
            sum = p.sum(1, true);
            const Tensor entropy = sum.log() + precision * (p * distance).sum(1, true) / sum;
            const Tensor wider = entropy > std::log(perplexity);
            low = at::where(wider, middle, low);
            high = at::where(wider, high, middle);
        }
        affinities.narrow(0, from, part.size(0)).copy_(p / sum);
    }
    const Tensor both = (affinities + affinities.t()) / (2 * count);
    return both.masked_fill(both < 1e-20, 0);  // products with denormal numbers are slow
}

/// Returns [N, 4] · [4, N] factors of 1 + ‖y_i − y_j‖².
inline std::pair<Tensor, Tensor> tsne_factors(const Tensor& y) {
    const Tensor squares = y.square().sum(1, true), ones = at::ones_like(squares);
    return {at::cat({y, squares + 1, ones}, 1), at::cat({-2 * y, ones, squares}, 1).t()};
}

/// Returns the gradient of the divergence, [N, 2], for a map y [N, 2]; attraction is multiplied by `exaggeration`.
inline Tensor tsne_gradient(const Tensor& affinities, const Tensor& y, double exaggeration) {
    const std::int64_t count = y.size(0), tile = tsne_tile(count);
    const auto [left, right] = tsne_factors(y);
    const Tensor points = at::cat({y, at::ones_like(y.narrow(1, 0, 1))}, 1);  // [N, 3]
    const Tensor pull = at::empty_like(points), push = at::empty_like(points);
    Tensor sum = at::zeros({}, y.options());
    for (std::int64_t from = 0; from < count; from += tile) {
        const std::int64_t size = std::min(tile, count - from);
        Tensor closeness = left.narrow(0, from, size).mm(right).clamp_min_(1).reciprocal_();  // [T, N], 1/(1 + d²)
        sum += closeness.sum();
        pull.narrow(0, from, size).copy_((affinities.narrow(0, from, size) * closeness).mm(points));
        push.narrow(0, from, size).copy_(closeness.square_().mm(points));
    }
    // Σ_j w_ij (y_i − y_j) = y_i Σ_j w_ij − Σ_j w_ij y_j
    const auto force = [&](const Tensor& f) { return y * f.narrow(1, 2, 1) - f.narrow(1, 0, 2); };
    return 4 * (exaggeration * force(pull) - force(push) / (sum - count).clamp_min(1e-12));  // all far apart: no push
}

/// Returns the Kullback–Leibler divergence of the map's affinities from those of the features, which t-SNE minimizes.
inline double tsne_divergence(const Tensor& affinities, const Tensor& y) {
    const std::int64_t count = y.size(0), tile = tsne_tile(count);
    const auto [left, right] = tsne_factors(y.to(at::kDouble));
    double closeness = 0, divergence = 0;
    for (std::int64_t from = 0; from < count; from += tile) {
        const Tensor p = affinities.narrow(0, from, std::min(tile, count - from)).to(at::kDouble);
        const Tensor distance = left.narrow(0, from, p.size(0)).mm(right);  // 1 + d²
        closeness += distance.reciprocal().sum().item<double>();
        divergence += (at::xlogy(p, p) + at::xlogy(p, distance)).sum().item<double>();
    }
    return divergence + affinities.sum(at::kDouble).item<double>() * std::log(closeness - static_cast<double>(count));
}

}  // namespace detail

/// Returns a t-SNE map: [N, 2] float32, centered, on the features' device.
///
/// Exact: all pairs, for up to a few thousand points (on one core 1,000 take 2 s and 2,000 take 8 s; at most 10,000, for
/// which N² floats take 400 MB). Starts from the first two principal components, so that the large picture is theirs;
/// momentum, gains and early exaggeration are those of scikit-learn, the learning rate too from 25 points on (below, smaller). Distances are Euclidean; for cosines,
/// give unit rows.
/// Distances between groups and the size of a group mean little in a t-SNE map; what lies together is alike.
/// The same features, options, machine and number of threads give the same map.
/// Shapes: features [N, D], any floating type and device, N ≥ 4.
/// Throws Error for other shapes and types, NaN, infinity, a perplexity that is not above 1 and below N − 1, and no
/// iterations.
/// Source: van der Maaten, Hinton, "Visualizing Data using t-SNE", JMLR 2008; start and learning rate: Kobak, Berens, "The
/// art of using t-SNE for single-cell transcriptomics", 2019, doi:10.1038/s41467-019-13056-x.
///
///     Tensor map = eval::tsne(val.rows.narrow(0, 0, 1500));
inline Tensor tsne(const Tensor& features, const TsneOptions& options = {}) {
    const at::NoGradGuard no_grad;
    const Tensor rows = detail::finite_rows("tsne", features, 4);
    const std::int64_t count = rows.size(0);
    require(count <= 10000, "tsne: ", count, " points are too many for all pairs, expected at most 10000; give a sample of the rows");
    require(options.iterations >= 1, "tsne: iterations must be at least 1, got ", options.iterations);
    const auto others = static_cast<double>(count - 1);
    const double perplexity = options.perplexity == 0 ? std::max(1.5, std::min(30.0, others / 3)) : options.perplexity;
    require(perplexity > 1 && perplexity < others, "tsne: perplexity must be above 1 and below the number of other points, ", others,
            ", got ", perplexity);
    const Autocast full(rows.device().type(), Precision::fp32);
    const Tensor affinities = detail::tsne_affinities(rows.to(at::kFloat), perplexity);

    // The components, small, so that all points interact at first; noise, or equal points would stay together.
    Tensor y = at::zeros({count, 2}, at::kDouble);
    const Pca pca = fit_pca(rows, std::min<std::int64_t>(2, rows.size(1)));
    const double width = std::sqrt(pca.variances[0].item<double>());
    if (width > 0) y.narrow(1, 0, pca.variances.size(0)).copy_(pca.project(rows) * (1e-4 / width));
    random::Stream draw({.seed = options.seed, .purpose = random::Purpose::user});
    for (auto* value = y.mutable_data_ptr<double>(); value != y.mutable_data_ptr<double>() + y.numel(); ++value)
        *value += 1e-6 * draw.normal();
    y = y.to(affinities.options());

    constexpr double exaggeration = 12;
    const double rate = std::max(static_cast<double>(count) / exaggeration / 4, std::min(50.0, static_cast<double>(count * count) / 12));  // few points would fly apart
    const std::int64_t early = std::min<std::int64_t>(250, options.iterations / 3);
    Tensor gains = at::ones_like(y), moved = at::zeros_like(y);
    for (std::int64_t i = 0; i < options.iterations; ++i) {
        const Tensor gradient = detail::tsne_gradient(affinities, y, i < early ? exaggeration : 1);
        gains = at::where(moved * gradient < 0, gains + 0.2, gains * 0.8).clamp_min_(0.01);
        moved = (i < early ? 0.5 : 0.8) * moved - rate * gains * gradient;
        y = y + moved;
        y = y - y.mean(0, true);
    }
    return y;
}

}  // namespace doppel::eval
