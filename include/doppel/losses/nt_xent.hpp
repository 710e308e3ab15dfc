// SPDX-License-Identifier: Apache-2.0
// NT-Xent: the normalized temperature-scaled cross-entropy of SimCLR.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/core/training_step.hpp>
#include <doppel/losses/detail/cross_log_sum_exp.hpp>
#include <doppel/losses/detail/keys_of_all.hpp>
#include <doppel/losses/detail/pool.hpp>
#include <doppel/losses/detail/rows.hpp>
#include <doppel/losses/tiles.hpp>

#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace doppel::losses {

/// Classifies, for each projection, those of the same image's other views among all others. With two views, for 2N
/// projections:
///
///     s_ij = ẑ_i · ẑ_j / τ,  ẑ = z / ‖z‖,  z = [z0; z1]
///     L = 1/(2N) Σ_i ( log Σ_{j≠i} exp s_ij − s_{i,p(i)} ),  p(i) = i ± N
///
/// and with V views, for VN projections in one pool, where P(i) are the V − 1 other views of i's image:
///
///     L = 1/(VN) Σ_i ( log Σ_{j≠i} exp s_ij − 1/(V − 1) Σ_{p ∈ P(i)} s_ip )
///
/// Without a pairing in the recipe, two views are paired once, and more views form one pool (multi-crop) in which rows
/// i are online outputs and columns j target outputs, which are equal with targets::Shared. With a pairing, it is a
/// pair loss, whose negatives come from one pair of views at a time.
/// Shapes: V tensors [N, D], any floating type and device, need not be normalized; N ≥ 2. Result: scalar, float32
/// (float64 for float64 inputs). Symmetric in the views.
/// Numerics: float32, also under autocast; log-sum-exp with the maximum subtracted, so τ = 0.01 is safe.
/// Uninformative embeddings yield log(VN − 1).
/// Memory: the matrix of (VN)² similarities, some of them at once; above `tiles.above` of them, by tiles: the unit rows and
/// two tiles, with first derivatives only (losses/tiles.hpp).
/// Accumulated gradients: negatives come from the micro-batch, so n micro-batches are not one large batch.
/// Differs: the SimCLR authors' TensorFlow code reports the sum of the two directions, twice this value;
/// lightly's name is NTXentLoss. More than two views as in SupCon's L_out, with the image index as the label.
/// Throws Error for a non-positive temperature, or tensors that are not [N, D] of equal shape.
/// Source: Chen, Kornblith, Norouzi, Hinton, "A Simple Framework for Contrastive Learning of Visual
/// Representations", 2020, arXiv:2002.05709, equation 1 and algorithm 1; V views: Khosla et al., "Supervised
/// Contrastive Learning", 2020, arXiv:2004.11362, equation 2.
///
///     losses::NtXent loss{.temperature = 0.2};
///     loss(z0, z1).backward();
struct NtXent {
    double temperature = 0.5;  ///< τ > 0. Paper: 0.1 for ImageNet, 0.5 for CIFAR-10
    Tiles tiles{};             ///< from which size on the similarities are computed by tiles
    Group group{};             ///< set by join()

    void join(const Group& with) { group = with; }

    std::vector<double> host_numbers(const TrainingStep&) const { return {}; }  // of the tensors alone

    Tensor operator()(const Tensor& z0, const Tensor& z1) const {
        detail::require_temperature("NtXent", temperature);
        detail::require_pair("NtXent", z0, z1);
        require(group.all_rows(z0.size(0)) >= 2, "NtXent: needs at least 2 images for a negative, got ", z0.size(0));
        const Autocast float32(z0.device().type(), Precision::fp32);
        const auto n = z0.size(0);
        if (!group.alone()) {
            const Tensor z = detail::unit_rows(at::cat({z0, z1}));                                    // [2N, D]
            return detail::log_sum_exp_over_all(z, z, group, temperature, tiles, {0}, 1).mean() -
                   (z.narrow(0, 0, n) * z.narrow(0, n, n)).sum(1).mean() / temperature;
        }
        if (tiles.cut(2 * n, 2 * n)) return by_tiles({z0, z1});
        const Tensor z = detail::unit_rows(at::cat({z0, z1}));                                        // [2N, D]
        const Tensor similarity = z.mm(z.t()) / temperature;                                          // [2N, 2N]
        const Tensor others = similarity.masked_fill(
            at::eye(2 * n, similarity.options().dtype(at::kBool)), -std::numeric_limits<double>::infinity());
        const Tensor partners = similarity.diagonal(n);                                               // [N]
        return others.logsumexp(1).mean() - partners.mean();
    }

    /// Returns the loss of all views of all images in one pool.
    Tensor operator()(const Outputs& out) const {
        std::vector<Tensor> online, target;
        for (std::size_t v = 0; v < out.online.size() && v < out.target.size(); ++v)
            if (out.online[v].defined() && out.target[v].defined()) {
                online.push_back(out.online[v]);
                target.push_back(out.target[v]);
            }
        const auto views = static_cast<std::int64_t>(online.size());
        require(views >= 2, "NtXent: needs at least 2 views that went through both branches, got ", views);
        if (views == 2) return (*this)(online[0], target[1]);
        detail::require_temperature("NtXent", temperature);
        for (std::size_t v = 0; v < online.size(); ++v) {
            detail::require_pair("NtXent", online[0], online[v]);
            detail::require_pair("NtXent", online[0], target[v]);
        }
        const auto n = online[0].size(0);
        require(group.all_rows(n) >= 2, "NtXent: needs at least 2 images for a negative, got ", n);
        const Autocast float32(online[0].device().type(), Precision::fp32);
        const bool cut = !group.alone() || tiles.cut(views * n, views * n);
        if (group.alone() && cut && same(online, target)) return by_tiles(online);
        const Tensor rows = detail::unit_rows(at::cat(online));                                       // [VN, D]
        const Tensor columns = detail::unit_rows(at::cat(target));                                    // [VN, D]
        if (cut) {
            const Tensor each = columns.view({views, n, -1}), others = each.sum(0) - each;            // [V, N, D]
            const Tensor log_sum = group.alone() ? detail::cross_log_sum_exp(rows, columns, temperature, tiles, false, {0}, 1)[0]
                                                 : detail::log_sum_exp_over_all(rows, columns, group, temperature, tiles, {0}, 1);
            return log_sum.mean() -
                   (rows * others.flatten(0, 1)).sum() / (static_cast<double>(views * (views - 1) * n) * temperature);
        }
        const Tensor similarity = rows.mm(columns.t()) / temperature;                                 // [VN, VN]
        const Tensor others = similarity.masked_fill(
            at::eye(views * n, similarity.options().dtype(at::kBool)), -std::numeric_limits<double>::infinity());
        const Tensor same = similarity.view({views, n, views, n}).diagonal(0, 1, 3);                  // [V, V, N]
        const Tensor partners =
            (same.sum() - similarity.diagonal().sum()) / static_cast<double>(views * (views - 1) * n);
        return others.logsumexp(1).mean() - partners;
    }

private:
    Tensor by_tiles(const std::vector<Tensor>& views) const {
        const detail::PoolTerms terms(views, temperature, tiles, {0});
        return terms.log_sum.mean() - terms.positive.mean() / temperature;
    }
    static bool same(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
        return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Tensor& x, const Tensor& y) { return x.is_same(y); });
    }
};

static_assert(contracts::PairLoss<NtXent> && contracts::OutputsLoss<NtXent>);

}  // namespace doppel::losses
