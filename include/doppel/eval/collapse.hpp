// SPDX-License-Identifier: Apache-2.0
// Measures of representation collapse.
#pragma once

#include <doppel/core/tensor.hpp>
#include <doppel/eval/detail/measured_rows.hpp>
#include <doppel/eval/spectrum.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <sstream>
#include <string>

namespace doppel::eval {

/// Returns the standard deviation of unit-norm rows over the batch, mean over the dimensions:
///
///     1/D Σ_d std_n( z_nd / ‖z_n‖ )
///
/// 0 if all rows have one direction; about 1/√D if directions are uniform (0.0442 for D = 512).
/// Shapes: features [N, D], any floating type and device, N ≥ 2, need not be normalized. Result: scalar tensor, float32
/// (float64 for float64). No device sync, so it can be computed in each step. The deviation divides by N − 1.
/// Source: Chen, He, "Exploring Simple Siamese Representation Learning", 2020, arXiv:2011.10566, section 4.1.
///
///     Tensor std = eval::feature_std(outputs.features[0]);   // std.item<double>() to log it
inline Tensor feature_std(const Tensor& features) {
    const at::NoGradGuard no_grad;
    const Tensor rows = detail::measured_rows("feature_std", features);
    const Tensor unit = rows / rows.norm(2, 1, true).clamp_min(1e-12);
    return unit.std(0).mean();
}

/// A monitor of the embeddings during training that reports a collapse once.
///
/// A sample is the [N, D] embeddings of one batch, as unit-norm rows z: their spread std·√D (1 for uniform directions,
/// 0 for a single one) and the effective rank of the centered rows. Collapsed means a spread below 0.1, or a rank below
/// 2 (below a quarter of min(N − 1, D) if that is less), in five samples in a row. Samples are 1/50 of the run apart,
/// at least 10 steps, so that a collapse must last a tenth of the run: networks start with a small spread.
///
///     eval::CollapseWatch watch(steps);
///     if (watch.due(step)) if (const auto seen = watch.look(z); seen.warning) std::cerr << *seen.warning << '\n';
class CollapseWatch {
public:
    explicit CollapseWatch(std::int64_t steps) : apart_(std::max<std::int64_t>(10, steps / 50)) {}

    /// Returns whether the current step, counted from 0, should be sampled.
    bool due(std::int64_t step) const { return (step + 1) % apart_ == 0; }

    /// The measures of a sample.
    struct Seen {
        double std = 0, rank = 0;           ///< feature_std, effective rank of the centered unit rows
        double cos = 0;                     ///< mean cosine of two different images: 1 for a single direction
        bool collapsed = false;             ///< spread or rank is below its limit in this sample
        std::optional<std::string> warning{};  ///< warning, in the sample that detects the collapse
    };

    /// Measures the embeddings of a batch.
    Seen look(const Tensor& embeddings) {
        const at::NoGradGuard no_grad;
        const Tensor rows = detail::measured_rows("CollapseWatch", embeddings).to(at::kDouble);
        const Tensor unit = rows / rows.norm(2, 1, true).clamp_min(1e-12);
        const Tensor centered = unit - unit.mean(0, true);
        const Tensor sigma = detail::squared_singular_values(centered).sqrt();
        Seen seen{.std = unit.std(0).mean().item<double>(), .rank = detail::effective_count(sigma)};
        const auto n = static_cast<double>(rows.size(0));  // the sum of all n² cosines is n²·‖mean‖²
        seen.cos = (n * unit.mean(0).square().sum().item<double>() - 1) / (n - 1);

        const auto dim = static_cast<double>(rows.size(1));
        const double most = std::min(static_cast<double>(rows.size(0) - 1), dim);
        const double spread = seen.std * std::sqrt(dim);
        seen.collapsed = spread < 0.1 || seen.rank < std::min(2.0, most / 4);
        in_a_row_ = seen.collapsed ? in_a_row_ + 1 : 0;
        if (in_a_row_ < 5 || collapsed_) return seen;
        collapsed_ = true;
        std::ostringstream text;
        text.precision(2);
        text << "the embeddings look collapsed and no longer distinguish images (spread " << spread
             << ", healthy about 1; effective rank " << seen.rank << " of " << most
             << "). Try a lower --lr, a longer --warmup or a larger batch; in a custom method, check "
                "stop-gradient, predictor, EMA and temperature";
        seen.warning = text.str();
        return seen;
    }

    /// Returns whether a collapse has been detected.
    bool collapsed() const { return collapsed_; }

private:
    std::int64_t apart_, in_a_row_ = 0;
    bool collapsed_ = false;
};

}  // namespace doppel::eval
