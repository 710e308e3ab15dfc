// SPDX-License-Identifier: Apache-2.0
// The spectrum of features: how many directions they use, and how evenly.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/eval/detail/measured_rows.hpp>

#include <ATen/ops/scalar_tensor.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

namespace doppel::eval {

namespace detail {

inline std::vector<double> values_of(const Tensor& values) {
    const auto* first = values.const_data_ptr<double>();
    return {first, first + values.numel()};
}

/// Returns α of the power law value_i ∝ i^−α that fits ranks 4 to 100 best: least squares of log value over log i with
/// weights 1/i. Ranks end at the first 0. NaN for fewer than six values.
inline double power_law(const std::vector<double>& values) {
    double weights = 0, x_sum = 0, y_sum = 0, xx = 0, xy = 0;
    std::size_t used = 0;
    for (std::size_t rank = 4; rank <= std::min<std::size_t>(100, values.size()) && values[rank - 1] > 0; ++rank, ++used) {
        const double w = 1 / static_cast<double>(rank), x = -std::log(w), y = std::log(values[rank - 1]);
        weights += w;
        x_sum += w * x;
        y_sum += w * y;
        xx += w * x * x;
        xy += w * x * y;
    }
    if (used < 3) return std::numeric_limits<double>::quiet_NaN();
    return -(weights * xy - x_sum * y_sum) / (weights * xx - x_sum * x_sum);
}

}  // namespace detail

/// Returns the effective number of dimensions of the features, between 1 and min(N, D); the RankMe paper's measure:
///
///     exp( − Σ_i p_i log p_i ),   p_i = σ_i / Σ_j σ_j,   σ the singular values of the [N, D] matrix
///
/// Rows are neither centered nor normalized; the overall scale does not matter. Equal rows yield 1, an orthogonal
/// matrix its rank, zeros 1. Result: scalar tensor on the CPU, float32 (float64 for float64).
/// Computed in float64 from the smaller Gram matrix, with a device sync: for evaluations, not for each step.
/// Differs: RankMe's code adds 1e-7 to each p_i.
/// Throws Error for other shapes and types, NaN and infinity.
/// Source: Roy, Vetterli, "The effective rank", EUSIPCO 2007; as a measure of self-supervised features: Garrido et al.,
/// "RankMe", 2022, arXiv:2210.02885.
///
///     double rank = eval::effective_rank(val.rows).item<double>();
inline Tensor effective_rank(const Tensor& features) {
    const at::NoGradGuard no_grad;
    const Tensor rows = detail::finite_rows("effective_rank", features);
    const bool wide = rows.size(0) < rows.size(1);
    const Tensor zero = at::zeros({1, rows.size(1)}, rows.options().dtype(at::kDouble));
    const Tensor squares = wide ? detail::squared_singular_values(rows.to(at::kDouble))
                                : detail::eigenvalues_of(detail::centered_products(rows, zero, rows, zero));
    return at::scalar_tensor(detail::effective_count(squares.sqrt()), at::TensorOptions(rows.scalar_type()));
}

/// The spectrum of features [N, D]; both lists have min(N, D) values, the largest first.
struct Spectrum {
    std::vector<double> singular_values{};  ///< σ of the rows as they are
    std::vector<double> variances{};        ///< along the principal components of the centered rows; divided by N − 1
    double effective_rank = 1;              ///< as effective_rank()
    double decay = 0;                       ///< α: variances fall as rank^−α; NaN where fewer than six are above 0

    /// Returns the share of the variance in the first k components, 0 to 1; 0 if there is no variance.
    double share(std::size_t k) const {
        const double all = std::accumulate(variances.begin(), variances.end(), 0.0);
        const auto end = variances.begin() + static_cast<std::ptrdiff_t>(std::min(k, variances.size()));
        return all > 0 ? std::accumulate(variances.begin(), end, 0.0) / all : 0;
    }

    /// Returns how many components hold at least a share of the variance, as components(0.9); 0 if there is no variance.
    std::size_t components(double at_least) const {
        std::size_t k = 0;
        while (k < variances.size() && variances[k] > 0 && share(k) < at_least) ++k;
        return k;
    }
};

/// Returns the spectrum of features.
///
/// The decay α is that of α-ReQ: a fit to ranks 4 to 100 of the covariance's spectrum on logarithmic axes, weighted by
/// 1/rank. α near 1 goes with features that generalize; far above, few directions hold everything; near 0, all
/// directions hold the same, as in noise.
/// Shapes: features [N, D], any floating type and device, N ≥ 2. Computed in float64; memory: the features and three
/// matrices [min(N, D), min(N, D)].
/// Throws Error for other shapes and types, NaN and infinity.
/// Source: Agrawal, Mondal, Ghosh, Richards, "α-ReQ: Assessing Representation Quality in Self-Supervised Learning by
/// measuring eigenspectrum decay", NeurIPS 2022; ranks and weights: its code, after Stringer et al., 2019,
/// doi:10.1038/s41586-019-1346-5.
///
///     const auto spectrum = eval::spectrum_of(val.rows);
///     std::cout << spectrum.effective_rank << ", 90 % of the variance in " << spectrum.components(0.9) << '\n';
inline Spectrum spectrum_of(const Tensor& features) {
    const at::NoGradGuard no_grad;
    const Tensor rows = detail::finite_rows("spectrum_of", features);
    const Tensor mean = detail::mean_of(rows);
    Tensor squares, spread;
    if (rows.size(0) < rows.size(1)) {
        const Tensor wide = rows.to(at::kDouble);
        squares = detail::squared_singular_values(wide);
        spread = detail::squared_singular_values(wide - mean);
    } else {
        const Tensor scatter = detail::centered_products(rows, mean, rows, mean);
        spread = detail::eigenvalues_of(scatter);
        squares = detail::eigenvalues_of(scatter + mean.t().mm(mean) * rows.size(0));
    }
    Spectrum result{.singular_values = detail::values_of(squares.sqrt()),
                    .variances = detail::values_of(spread / (rows.size(0) - 1)),
                    .effective_rank = detail::effective_count(squares.sqrt())};
    result.decay = detail::power_law(result.variances);
    return result;
}

}  // namespace doppel::eval
