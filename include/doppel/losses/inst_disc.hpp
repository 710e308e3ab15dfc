// SPDX-License-Identifier: Apache-2.0
// Instance discrimination: every image is a class, represented by a row of a memory bank.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/collectives.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/core/training_step.hpp>
#include <doppel/losses/detail/chosen_rows.hpp>
#include <doppel/losses/detail/cross_log_sum_exp.hpp>
#include <doppel/losses/detail/rows.hpp>
#include <doppel/losses/tiles.hpp>

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/isinf.h>
#include <ATen/ops/logaddexp.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/where.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

namespace doppel::losses {

namespace detail {
/// The checked inputs of both losses: embeddings of the single view, the bank, and the indices of the images.
struct InstanceInputs {
    Tensor z, bank, index;

    InstanceInputs(std::string_view who, const Outputs& out) {
        require(out.online.size() == 1 && out.online[0].defined(), who, ": takes one view of an image, got ",
                out.online.size());
        require(out.memory.defined() && out.memory.dim() == 2, who,
                ": needs a memory bank: .queue = queues::MemoryBank{.size = …}");
        require(out.index.defined() && out.index.size(0) == out.online[0].size(0), who,
                ": needs the indices of the images (Batch::index), one per image");
        z = unit_rows(out.online[0]);
        bank = out.memory.to(z.scalar_type());
        index = out.index;
    }
};
}  // namespace detail

/// Cross-entropy over all images of the data set.
///
///     L = 1/N Σ_b −log( exp(v̂_b·m_{i(b)}/τ) / Σ_j exp(v̂_b·m_j/τ) ),   v̂ = v / ‖v‖
///
/// Shapes: one view's embeddings [N, D], bank m [images, D] of unit rows (queues::MemoryBank), image indices i [N].
/// Result: scalar, float32. Computes N × images similarities: for up to about 100,000 images.
/// Memory: these similarities, a few times; above `tiles.above` of them, by tiles, with first derivatives only
/// (losses/tiles.hpp).
/// Uninformative embeddings yield log(images).
/// Source: Wu, Xiong, Yu, Lin, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", 2018,
/// arXiv:1805.01978, equation 2; the authors' code with nce-k = 0.
///
///     Recipe{..., .queue = queues::MemoryBank{.size = photos.size()}, .loss = losses::InstanceSoftmax{}}
struct InstanceSoftmax {
    static constexpr bool per_image = true;

    double temperature = 0.1;  ///< τ > 0. Authors: 0.1 for CIFAR-10, 0.07 for ImageNet
    Tiles tiles{};             ///< from which size on the similarities are computed by tiles

    std::vector<double> host_numbers(const TrainingStep&) const { return {}; }  // of the tensors alone

    Tensor operator()(const Outputs& out) const {
        detail::require_temperature("InstanceSoftmax", temperature);
        const detail::InstanceInputs in("InstanceSoftmax", out);
        const Autocast float32(in.z.device().type(), Precision::fp32);
        if (tiles.cut(in.z.size(0), in.bank.size(0))) {
            const Tensor own = (in.z * in.bank.index_select(0, in.index)).sum(1);                     // [N]
            return detail::cross_log_sum_exp(in.z, in.bank, temperature, tiles)[0].mean() - own.mean() / temperature;
        }
        const Tensor logits = in.z.mm(in.bank.t()) / temperature;                                     // [N, images]
        return logits.logsumexp(1).mean() - logits.gather(1, in.index.unsqueeze(1)).mean();
    }
};

/// Noise-contrastive estimation of InstanceSoftmax: the image's row against K random rows.
///
///     P(i|v) = exp(v̂·m_i/τ) / Z,   h = P / (P + K/n)
///     L = −1/N Σ_b ( ln h(i(b)|v_b) + Σ_k ln(1 − h(i_k|v_b)) )
///
/// n images, noise uniform with replacement. Z is estimated from the first batch as n · mean exp(v̂·m/τ) over all its
/// rows, then fixed; its logarithm is state (`loss.log_z`). The noise is drawn from torch's generator of the device.
/// Shapes as for InstanceSoftmax. Memory: about N·K values; the chosen rows are copied in portions.
/// Numerics: float32; all terms in logarithms, so P may underflow.
/// Source: Wu et al., 2018, arXiv:1805.01978, equations 4 to 8; Z as in the authors' code.
///
///     Recipe{..., .queue = queues::MemoryBank{.size = photos.size()}, .loss = losses::InstanceNce{.negatives = 4096}}
struct InstanceNce {
    double temperature = 0.07;      ///< τ > 0
    std::int64_t negatives = 4096;  ///< K ≥ 1 noise rows per image
    Tensor log_z{}, pending{};      ///< state: ln Z, −∞ until the first commit(), and its next value; do not set
    Group group{};                  ///< set by join()

    /// Each process draws the noise of the whole batch and takes that of its own images.
    void join(const Group& with) { group = with; }

    void build(std::int64_t) {
        require(negatives >= 1, "InstanceNce: negatives must be at least 1, got ", negatives);
        log_z = at::full({1}, -std::numeric_limits<double>::infinity(), at::kFloat);
    }
    template <class Visitor>
    void state(Visitor&& visit) {
        visit("log_z", log_z);
    }

    std::vector<double> host_numbers(const TrainingStep&) const { return {}; }  // of the tensors alone

    Tensor operator()(const Outputs& out) {
        detail::require_temperature("InstanceNce", temperature);
        const detail::InstanceInputs in("InstanceNce", out);
        const auto rows = in.z.size(0), images = in.bank.size(0);
        const Tensor noise = at::randint(images, {group.all_rows(rows), negatives}, in.index.options())
                                 .narrow(0, group.rows_before(rows), rows);                           // [N, K]
        return with_noise(in.z, in.bank, at::cat({in.index.unsqueeze(1), noise}, 1));
    }

    /// Returns the loss for given rows [N, 1 + K] of the bank, the image's own first. z [N, D] and bank have unit rows.
    Tensor with_noise(const Tensor& z, const Tensor& bank, const Tensor& rows) {
        const Autocast float32(z.device().type(), Precision::fp32);
        const auto images = static_cast<double>(bank.size(0)), k = static_cast<double>(rows.size(1) - 1);
        const Tensor scores = detail::chosen_products(z, bank, rows) / temperature;                   // [N, 1 + K]
        const Tensor known = log_z.to(scores.scalar_type());
        const Tensor sum = scores.detach().flatten().logsumexp(0);
        const Tensor of_all = group.alone() ? sum : gathered(sum.view({1}), group.with_images({})).logsumexp(0);
        const double terms = static_cast<double>(group.all_rows(rows.size(0)) * rows.size(1));
        const Tensor estimate = of_all - std::log(terms / images);
        const Tensor used = at::where(at::isinf(known), estimate, known);                             // [1]
        pending = used.to(at::kFloat);
        const Tensor log_p = scores - used;
        const Tensor log_noise = at::full_like(log_p.narrow(1, 0, 1), std::log(k / images));
        const Tensor log_sum = at::logaddexp(log_p, log_noise);                                       // ln(P + K/n)
        const Tensor own = log_p.select(1, 0) - log_sum.select(1, 0);
        const Tensor others = (log_noise - log_sum).narrow(1, 1, rows.size(1) - 1).sum(1);
        return -(own + others).mean();
    }

    void commit(const Outputs&) { log_z.copy_(pending); }
};

static_assert(contracts::OutputsLoss<InstanceSoftmax> && contracts::OutputsLoss<InstanceNce>);

}  // namespace doppel::losses
