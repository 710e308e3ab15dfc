// SPDX-License-Identifier: Apache-2.0
// KoLeo: spreads the features of a batch.
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

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace doppel::losses {

/// The Kozachenko-Leonenko estimate of the features' entropy, for each global view separately, as a regularizer that
/// spreads the features of a batch:
///
///     L = weight · Σ_v −1/B Σ_i log(‖x_vi − x_vn(i)‖ + 1e-8),   x = f / ‖f‖,   n(i) = argmax_{j≠i} x_vi·x_vj
///
/// Shapes: Outputs::features [B, F] of the global views, from the online encoder, before the projector; any floating
/// type; B ≥ 2 of one micro-batch. Result: scalar, float32 (float64 for float64 inputs).
/// Numerics: float32, also under autocast; two [B, B] matrices per view. A duplicate image yields 18.4 and no gradient.
/// B evenly spread features yield a value near 0 or below.
/// Differs: the authors and lightly's KoLeoLoss also add 1e-8 to each difference, which only affects duplicates: their
/// gradient is about 1e8 in a meaningless direction. lightly's has no weight.
/// Throws Error for a negative or non-finite weight, for features that are not [B, F], and for a batch of one.
/// Source: Sablayrolles, Douze, Schmid, Jégou, "Spreading vectors for similarity search", 2018, arXiv:1806.03198,
/// section 3; weight and position: Oquab et al., "DINOv2", 2023, arXiv:2304.07193, section 4, and its code.
///
///     .loss = losses::Sum{losses::Weighted{1.0, losses::Dino{}}, losses::Weighted{1.0, losses::Koleo{}}}
struct Koleo {
    double weight = 0.1;  ///< multiplies the loss, ≥ 0
    Group group{};        ///< set by join(): neighbors are looked for among the images of all processes

    void join(const Group& with) { group = with; }

    std::vector<double> host_numbers(const TrainingStep&) const { return {}; }  // of the tensors alone

    Tensor operator()(const Outputs& out) const {
        require(weight >= 0 && std::isfinite(weight), "KoLeo: weight must be at least 0 and finite, got ", weight);
        Tensor sum;
        for (std::size_t v = 0; v < out.features.size() && static_cast<std::int64_t>(v) < out.globals; ++v) {
            if (!out.features[v].defined()) continue;
            const Tensor term = of_view(out.features[v], group);
            sum = sum.defined() ? sum + term : term;
        }
        require(sum.defined(), "KoLeo: needs the features of at least one global view");
        return sum * weight;
    }

    /// Returns −mean log of the distance to the nearest other row of f [B, F].
    static Tensor of_view(const Tensor& f, const Group& group = {}) {
        detail::require_pair("KoLeo", f, f);
        require(group.all_rows(f.size(0)) >= 2, "KoLeo: needs at least 2 images in a batch, got ", f.size(0));
        const Autocast float32(f.device().type(), Precision::fp32);
        const Tensor x = detail::unit_rows(f);                                                        // [B, F]
        const Tensor all = gathered(x, group);                                                       // [all images, F]
        Tensor nearest;
        {
            const at::NoGradGuard no_grad;
            const Tensor cosine = x.mm(all.t());
            cosine.diagonal(group.rows_before(x.size(0))).fill_(-2);
            nearest = cosine.argmax(1);                                                               // [B]
        }
        return -((x - all.index_select(0, nearest)).norm(2, 1) + 1e-8).log().mean();
    }
};

static_assert(contracts::OutputsLoss<Koleo>);

}  // namespace doppel::losses
