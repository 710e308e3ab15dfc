// SPDX-License-Identifier: Apache-2.0
// iBOT's patch loss: the online network predicts, at masked patches, the target's output for the unmasked view.
#pragma once

#include <doppel/augment/block_mask.hpp>
#include <doppel/contracts/loss.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/collectives.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/random.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/losses/centering.hpp>
#include <doppel/losses/detail/rows.hpp>
#include <doppel/pairings/pairing.hpp>

#include <ATen/ops/cat.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <cstdint>
#include <vector>

namespace doppel::losses {

/// Masked image modeling by self-distillation, over the M masked patches of all global views:
///
///     L = −Σ_m w_m Σ_k p_mk log q_mk,   q = softmax(s / τ),   p = softmax((t − c) / τ_t)  or  sinkhorn(t, ε = τ_t)
///
/// s and t are the scores of the online and the target network at one patch of one view; w_m = 1 / (masked patches of
/// the view · global views · images): the mean over the masked patches of a view, then over all views, where a view
/// without masked patches counts 0. No gradient flows into p.
/// c [1, K] is state (`loss.patch_center`), initially zero: the loss reads c₋, commit() writes β c₋ + (1 − β) mean(t),
/// nothing if no patch is masked. Several forward passes before one commit() read the same c₋; each is an update.
/// Centering::sinkhorn does not use it; its batch is the M patches.
/// Shapes: Outputs::patches, online and target [M, K], any floating type, weight [M]. Result: scalar, float32 (float64
/// for float64 inputs); without masked patches 0, on which backward() may be called.
/// `blocks` draws the masks; Method calls mask() for each image and global view.
/// Numerics: float32, also under autocast. Uniform outputs yield ln K times the share of masked views: 4.5 for K = 8192
/// and one half.
/// Differs: the authors' center is the mean over all patches of the target, masked or not. This one, over the masked
/// patches, is that of DINOv2's code and of lightly's IBOTPatchLoss; blocks touch the border less often.
/// The loss on class tokens is DINO's, with equal weight: add both with losses::Sum.
/// Throws Error for options out of range, for mismatched shapes, and if a global view did not go through the online
/// branch.
/// Source: Zhou, Wei, Wang, Shen, Xie, Yuille, Kong, "iBOT: Image BERT Pre-Training with Online Tokenizer", 2021,
/// arXiv:2111.07832, section 3, and the authors' code; Sinkhorn: Oquab et al., "DINOv2", 2023, arXiv:2304.07193.
///
///     Recipe{.encoder = encoders::Vit{.mask_token = true}, ..., .target = targets::Ema{...},
///            .loss = losses::Sum{losses::Weighted{1.0, losses::Dino{}}, losses::Weighted{1.0, losses::Ibot{}}}}
struct Ibot {
    /// As DINO, with which it shares the forward passes; the patches need the global views only.
    using Pairing = pairings::GlobalToAll;

    double temperature = 0.1;               ///< τ > 0 of the online network
    TargetTemperature target_temperature{.from = 0.04, .to = 0.07, .epochs = 30};  ///< τ_t
    double center_momentum = 0.9;           ///< β, weight of the old center, from 0 to 1
    Centering centering = Centering::mean;  ///< center, or Sinkhorn over the masked patches (DINOv2)
    augment::BlockMask blocks{};            ///< draws the masked patches
    Tensor patch_center{};                  ///< state: c [1, K]; do not set
    Group group{};                          ///< set by join()

    /// The center is that of the masked patches of all processes, some of which may have none; scores never travel.
    void join(const Group& with) { group = with; }

    void build(std::int64_t dim) {
        check();
        patch_center = at::zeros({1, dim}, at::kFloat);
    }
    template <class Visitor>
    void state(Visitor&& visit) {
        visit("patch_center", patch_center);
    }

    /// Draws the mask of a view, row by row, true where masked.
    std::vector<bool> mask(std::int64_t rows, std::int64_t columns, random::Stream draw) const {
        return blocks(rows, columns, draw);
    }

    Tensor operator()(const Outputs& out) const {
        check();
        for (std::size_t v = 0; v < out.online.size() && v < static_cast<std::size_t>(out.globals); ++v)
            require(out.online[v].defined(), "Ibot: global view ", v,
                    " did not go through the online branch; the pairing must send every global view through it");
        const Tensor &s = out.patches.online, &t = out.patches.target, &w = out.patches.weight;
        if (!s.defined()) {
            if (!group.alone() && centering == Centering::sinkhorn)  // the others reckon with this process
                sinkhorn(patch_center.narrow(0, 0, 0), {.epsilon = target_temperature(out.at)}, {}, group);
            return nothing(out);
        }
        detail::require_pair("Ibot", s, t);
        const std::int64_t m = s.size(0), k = s.size(1);
        require(w.defined() && w.dim() == 1 && w.size(0) == m, "Ibot: the patches' weights must be [", m, "], got ",
                w.defined() ? w.sizes() : at::IntArrayRef{});
        const Tensor& c = patch_center;
        require(c.defined() && c.dim() == 2 && c.size(1) == k, "Ibot: the center must be [1, ", k, "], got ",
                c.defined() ? c.sizes() : at::IntArrayRef{}, "; call build(", k, ") first");
        const Autocast float32(s.device().type(), Precision::fp32);
        const Tensor p = centered(t, c, target_temperature(out.at), centering, w.gt(0), group);      // [M, K]
        const Tensor log_q = (detail::at_least_float(s) / temperature).log_softmax(1);                // [M, K]
        return -((p * log_q).sum(1) * w.to(log_q.scalar_type())).sum();
    }

    std::vector<double> host_numbers(const TrainingStep& at) const { return {target_temperature(at)}; }
    /// Whether patches of weight 0 leave no trace.
    bool ignores_weightless() const { return true; }

    void commit(const Outputs& out) {
        const Tensor& t = out.patches.target;
        if (centering != Centering::mean || (!t.defined() && group.alone())) return;
        const at::NoGradGuard no_grad;
        if (!group.alone()) return commit_of_all(out.patches);
        const Autocast float32(t.device().type(), Precision::fp32);
        const Tensor rows = detail::at_least_float(t);                                                // [M, K]
        const Tensor counted = out.patches.weight.gt(0).to(rows.scalar_type()).unsqueeze(0);          // [1, M]
        const Tensor seen = counted.mm(rows) / counted.sum().clamp_min(1);                            // [1, K]
        patch_center.mul_(center_momentum).add_(seen.to(patch_center.scalar_type()), 1 - center_momentum);
    }

private:
    void commit_of_all(const Patches& patches) {
        Tensor sum = at::zeros({1, patch_center.size(1) + 1}, patch_center.options());                // [1, K + 1]
        if (patches.target.defined()) {
            const Autocast float32(patches.target.device().type(), Precision::fp32);
            const Tensor rows = detail::at_least_float(patches.target);                               // [M, K]
            const Tensor counted = patches.weight.gt(0).to(rows.scalar_type()).unsqueeze(0);          // [1, M]
            sum = at::cat({counted.mm(rows), counted.sum().view({1, 1})}, 1).to(sum.scalar_type());
        }
        sum = summed(sum, group);
        const Tensor count = sum.narrow(1, patch_center.size(1), 1);                                  // [1, 1]
        const Tensor seen = sum.narrow(1, 0, patch_center.size(1)) / count.clamp_min(1);
        patch_center.copy_(at::where(count.gt(0), patch_center * center_momentum + seen * (1 - center_momentum), patch_center));
    }

    void check() const {
        detail::require_temperature("Ibot", temperature);
        target_temperature.check("Ibot");
        require(center_momentum >= 0 && center_momentum <= 1, "Ibot: center_momentum must lie between 0 and 1, got ",
                center_momentum);
        blocks.check();
    }

    /// Returns 0 as a function of the online outputs, so that backward() works.
    static Tensor nothing(const Outputs& out) {
        for (const Tensor& z : out.online)
            if (z.defined()) return detail::at_least_float(z).slice(0, 0, 0).sum();
        fail("Ibot: needs masked patches or at least one view of an image");
    }
};

static_assert(contracts::OutputsLoss<Ibot> && contracts::NamesPairing<Ibot> && contracts::HasState<Ibot> &&
              contracts::Builds<Ibot> && contracts::Commits<Ibot> && contracts::MaskingLoss<Ibot>);

}  // namespace doppel::losses
