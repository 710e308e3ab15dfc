// SPDX-License-Identifier: Apache-2.0
// MMCR: spreads the centroids of the images' views over as many dimensions as possible.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/collectives.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/core/training_step.hpp>
#include <doppel/losses/detail/nuclear_norm.hpp>
#include <doppel/losses/detail/rows.hpp>

#include <ATen/ops/cat.h>

#include <cstdint>
#include <limits>
#include <vector>

namespace doppel::losses {

/// Maximum manifold capacity: aligns the views of an image, so that their mean is long, and separates images.
///
///     c_b = 1/V Σ_v ẑ_bv,   ẑ = z / ‖z‖,   C [N, D] the rows c_b,   Z_b [V, D] the rows ẑ_bv
///     L = −‖C‖_* + λ/N Σ_b ‖Z_b‖_*,   ‖·‖_* the sum of the singular values
///
/// With a target network c_b is the mean of the online branch's mean and the target's (MMCR-Momentum); the local term
/// is the online branch's alone.
/// Shapes: V ≥ 2 views' embeddings [N, D] in Outputs::online, as many or none in Outputs::target; any floating type,
/// need not be normalized. Result: scalar, float32 (float64 for float64 inputs). The views' order does not matter.
/// Numerics: float32, the decomposition in float64, also under autocast; gradients stay finite for centroids of any
/// rank, also equal or zero ones. Non-finite embeddings yield NaN. On a GPU the host does not wait
/// (losses/detail/nuclear_norm.hpp).
/// Collapsed embeddings yield −√N; the best value is −√(N·min(N, D)), for equal views and evenly spread images.
/// Accumulated gradients: images spread within the micro-batch, so n micro-batches are not one large batch.
/// Differs: the authors drop images with non-finite values; here the loss is not finite. lightly's MMCRLoss does not
/// normalize, includes the target's embeddings in the local term and has λ = 0.005.
/// Throws Error for a negative or non-finite λ, fewer than 2 views, and for mismatched shapes.
/// Source: Yerxa, Kuang, Simoncelli, Chung, "Learning Efficient Coding of Natural Images with Maximum Manifold Capacity
/// Representations", NeurIPS 2023, arXiv:2303.03307; the target network is in the authors' code.
///
///     Recipe{..., .loss = losses::Mmcr{}}
///     Recipe{..., .target = targets::Ema{.schedule = schedules::Constant{0.99}}, .loss = losses::Mmcr{}}
struct Mmcr {
    double lambda = 0;  ///< λ ≥ 0, weight of the local term; 0: not computed
    Group group{};      ///< set by join(): only centroids travel

    void join(const Group& with) { group = with; }

    std::vector<double> host_numbers(const TrainingStep&) const { return {}; }  // of the tensors alone

    Tensor operator()(const Outputs& out) const {
        require(lambda >= 0 && lambda < std::numeric_limits<double>::infinity(),
                "Mmcr: lambda must be at least 0 and finite, got ", lambda);
        const auto online = defined(out.online), target = defined(out.target);
        require(online.size() >= 2, "Mmcr: needs at least 2 views of an image, got ", online.size());
        for (const auto* list : {&online, &target})
            for (const Tensor& z : *list) detail::require_pair("Mmcr", online[0], z);
        const Autocast float32(online[0].device().type(), Precision::fp32);
        const Tensor z = unit_views(online);                                                          // [V, N, D]
        Tensor centroids = z.mean(0);                                                                 // [N, D]
        if (!target.empty() && !same(online, target)) centroids = (centroids + unit_views(target).mean(0)) / 2;
        Tensor global = detail::nuclear(gathered(centroids, group));
        if (!group.alone()) global = global / group.weight();  // the same in all processes: a mean without weights
        if (lambda == 0) return -global;
        return detail::nuclear(z.transpose(0, 1)).mean() * lambda - global;
    }

private:
    static std::vector<Tensor> defined(const std::vector<Tensor>& list) {
        std::vector<Tensor> views;
        for (const Tensor& z : list)
            if (z.defined()) views.push_back(z);
        return views;
    }
    /// Without a target network both lists are the same tensors, so their means are equal.
    static bool same(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
        bool equal = a.size() == b.size();
        for (std::size_t v = 0; equal && v < a.size(); ++v) equal = a[v].is_same(b[v]);
        return equal;
    }
    static Tensor unit_views(const std::vector<Tensor>& views) {
        const auto count = static_cast<std::int64_t>(views.size());
        return detail::unit_rows(at::cat(views)).view({count, views[0].size(0), views[0].size(1)});
    }
};

static_assert(contracts::OutputsLoss<Mmcr>);

}  // namespace doppel::losses
