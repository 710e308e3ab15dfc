// SPDX-License-Identifier: Apache-2.0
// SupCon: NT-Xent with labels, where all views of all images of a class are positives.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/collectives.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/core/training_step.hpp>
#include <doppel/losses/detail/class_means.hpp>
#include <doppel/losses/detail/cross_log_sum_exp.hpp>
#include <doppel/losses/detail/pool.hpp>
#include <doppel/losses/detail/rows.hpp>
#include <doppel/losses/tiles.hpp>

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/where.h>

#include <limits>
#include <vector>

namespace doppel::losses {

/// Classifies, for each of the V·N projections, the others of its class among all others.
///
///     s_ij = ẑ_i · ẑ_j / τ,  ẑ = z / ‖z‖,  z = [z0; z1; …]
///     L = 1/(VN) Σ_i 1/|P(i)| Σ_{p∈P(i)} ( log Σ_{j≠i} exp s_ij − s_ip ),  P(i) = { p ≠ i of the class of i }
///
/// The mean over positives is outside the logarithm (L_out). An unlabeled image (label < 0) is a class of its own, so
/// data sets may be partly labeled; if all classes differ, the value is NT-Xent's.
/// Shapes: all views of a batch, online outputs V × [N, D], any floating type, need not be normalized, V ≥ 2, N ≥ 2;
/// labels [N] of an integer type. Result: scalar, float32 (float64 for float64 inputs).
/// Numerics: float32, also under autocast; log-sum-exp with the maximum subtracted. Uninformative embeddings yield
/// log(VN − 1). The minimum for a class of c images is not 0 but log(cV − 1): its positives share the sum.
/// Memory: the matrix of (VN)² similarities, some of them at once; above `tiles.above` of them, by tiles: some copies of the
/// embeddings and two tiles, with first derivatives only (losses/tiles.hpp).
/// Accumulated gradients: positives and negatives come from the micro-batch.
/// On several processes each computes, by tiles, the rows of its own images against the embeddings of all, which it gathers.
/// Differs: the paper sums over the projections, this is the mean; the authors' code multiplies it by τ/0.07.
/// Throws Error for a non-positive temperature, a single view, a batch without labels, mismatched shapes.
/// Source: Khosla et al., "Supervised Contrastive Learning", 2020, arXiv:2004.11362, equation 2.
///
///     Recipe{.encoder = ..., .projector = heads::Mlp{...}, .loss = losses::Supcon{.temperature = 0.1}}
struct Supcon {
    static constexpr bool uses_labels = true;

    double temperature = 0.1;  ///< τ > 0
    Tiles tiles{};             ///< from which size on the similarities are computed by tiles
    Group group{};             ///< set by join()

    void join(const Group& with) { group = with; }

    std::vector<double> host_numbers(const TrainingStep&) const { return {}; }  // of the tensors alone

    Tensor operator()(const Outputs& out) const {
        detail::require_temperature("SupCon", temperature);
        const auto views = static_cast<std::int64_t>(out.online.size());
        require(views >= 2, "SupCon: takes at least 2 views of an image, got ", views);
        for (const Tensor& view : out.online) detail::require_pair("SupCon", out.online.front(), view);
        const auto n = out.online.front().size(0);
        require(group.all_rows(n) >= 2, "SupCon: needs at least 2 images for a negative, got ", n);
        require(out.label.defined(), "SupCon: the batch has no labels; use losses::NtXent for unlabeled data");
        require(out.label.dim() == 1 && out.label.size(0) == n && at::isIntegralType(out.label.scalar_type(), false),
                "SupCon: labels must be [", n, "] of an integer type, got ", out.label.sizes(), " of ",
                out.label.dtype());
        const Autocast float32(out.online.front().device().type(), Precision::fp32);
        const Tensor alone = -1 - group.rows_before(n) - at::arange(n, out.label.options());          // [N]
        const Tensor label = at::where(out.label.lt(0), alone, out.label).repeat({views});            // [VN]
        if (!group.alone()) return of_own_rows(out.online, label);
        if (tiles.cut(views * n, views * n)) {
            const detail::PoolTerms terms(out.online, temperature, tiles, {0}, label);
            return terms.log_sum.mean() - terms.positive.mean() / temperature;
        }
        const Tensor z = detail::unit_rows(at::cat(out.online));                                      // [VN, D]
        const Tensor similarity = z.mm(z.t()) / temperature;                                          // [VN, VN]
        const Tensor self = at::eye(views * n, similarity.options().dtype(at::kBool));
        const Tensor positive =
            label.unsqueeze(0).eq(label.unsqueeze(1)).logical_and(self.logical_not()).to(similarity.scalar_type());
        const Tensor others = similarity.masked_fill(self, -std::numeric_limits<double>::infinity());
        return others.logsumexp(1).mean() - ((similarity * positive).sum(1) / positive.sum(1)).mean();
    }

private:
    Tensor of_own_rows(const std::vector<Tensor>& views, const Tensor& label) const {
        const Tensor z = detail::unit_rows(at::cat(views));                                           // [Vn, D]
        const Tensor all = gathered(z, group), labels = gathered(label, group);                       // [VN, D], [VN]
        const auto count = z.size(0), first = group.rows_before(count);
        const Tensor positive = detail::MeansOfOthers::apply(all, labels, first, count);              // [Vn, D]
        return detail::cross_log_sum_exp(z, all, temperature, tiles, false, {first}, 1)[0].mean() - (z * positive).sum(1).mean() / temperature;
    }
};

static_assert(contracts::OutputsLoss<Supcon> && contracts::UsesLabels<Supcon>);

}  // namespace doppel::losses
