// SPDX-License-Identifier: Apache-2.0
// DINO's loss: the online network predicts, from every view, the target's output for the global views.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/collectives.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/training_step.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/losses/centering.hpp>
#include <doppel/losses/detail/cross_views.hpp>
#include <doppel/losses/detail/rows.hpp>
#include <doppel/pairings/pairing.hpp>

#include <ATen/ops/cat.h>
#include <ATen/ops/special_entr.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace doppel::losses {

/// Self-distillation without labels: a cross-entropy between the target's distribution of each of the G global views
/// and the online network's of every other of the V views,
///
///     L = 1/(G(V − 1)) Σ_t Σ_{o≠t} −1/B Σ_b Σ_k p_tbk log q_obk,   q = softmax(s / τ),
///     p = softmax((t − c) / τ_t)  or  sinkhorn(t, ε = τ_t) over the rows of all global views together
///
/// No gradient flows into p. τ_t depends on the epoch (TargetTemperature); begin() warns if its length is unknown or
/// the run is too short for it.
/// c [1, K] is state (`loss.center`), initially zero: the loss reads c₋, commit() writes β c₋ + (1 − β) mean(t), the
/// mean over all rows of all global views. Several forward passes before one commit() read the same c₋; each is an
/// update. Centering::sinkhorn does not use or update it.
/// Shapes: Outputs::online [B, K] of each view, Outputs::target [B, K] of the global ones, any floating type. Result:
/// scalar, float32 (float64 for float64 inputs). Views that did not go through a branch are ignored.
/// Numerics: float32, also under autocast. Uniform outputs yield ln K: 11.09 for K = 65536.
/// metrics() of the last pass show collapse: `target_entropy`, the mean entropy of p, tends to ln K (uniform: τ_t too
/// high) or to 0 (one class: τ_t too low, or the center too slow); `target_kl`, the mean of KL(p‖q), which is L minus
/// that entropy, tends to 0 in both cases.
/// Differs: lightly's DINOLoss updates the center in the loss itself.
/// Throws Error for options out of range, for mismatched shapes, and if there are no two views to compare.
/// Source: Caron, Touvron, Misra, Jégou, Mairal, Bojanowski, Joulin, "Emerging Properties in Self-Supervised Vision
/// Transformers", 2021, arXiv:2104.14294, section 3.1, and the authors' code; Sinkhorn: Oquab et al., "DINOv2", 2023,
/// arXiv:2304.07193, section 4.
///
///     Recipe{..., .projector = heads::Dino{}, .target = targets::Ema{...}, .loss = losses::Dino{}}
///     losses::Dino{.target_temperature = {.from = 0.04, .to = 0.07, .epochs = 30}}
struct Dino {
    using Pairing = pairings::GlobalToAll;

    double temperature = 0.1;                ///< τ > 0 of the online network
    TargetTemperature target_temperature{};  ///< τ_t
    double center_momentum = 0.9;            ///< β, weight of the old center, from 0 to 1
    Centering centering = Centering::mean;   ///< center, or Sinkhorn over the global views (DINOv2)
    Tensor center{};                         ///< state: c [1, K]; do not set
    Tensor entropy{}, divergence{};          ///< results for metrics(); do not set
    Group group{};                           ///< set by join()

    /// The center is that of the images of all processes; scores never travel, only their sums.
    void join(const Group& with) { group = with; }

    void build(std::int64_t dim) {
        check();
        center = at::zeros({1, dim}, at::kFloat);
    }
    template <class Visitor>
    void state(Visitor&& visit) {
        visit("center", center);
    }

    /// Returns a warning if the target's temperature cannot rise as it should.
    std::string begin(const Horizon& horizon) const { return target_temperature.begin("Dino", horizon); }

    Tensor operator()(const Outputs& out) {
        check();
        const auto globals = targets(out);
        const Tensor t = rows(globals);                                                               // [G · B, K]
        const std::int64_t k = t.size(1);
        require(center.defined() && center.dim() == 2 && center.size(1) == k, "Dino: the center must be [1, ", k,
                "], got ", center.defined() ? center.sizes() : at::IntArrayRef{}, "; call build(", k, ") first");
        const Autocast float32(t.device().type(), Precision::fp32);
        const Tensor all = centered(t, center, target_temperature(out.at), centering, {}, group);   // [G · B, K]
        const auto parts = all.chunk(static_cast<std::int64_t>(globals.size()));
        std::vector<Tensor> p(out.online.size()), log_q(out.online.size());
        for (std::size_t i = 0; i < globals.size(); ++i) p.at(globals[i].view) = parts[i];
        for (std::size_t v = 0; v < out.online.size(); ++v) {
            if (!out.online[v].defined()) continue;
            detail::require_pair("Dino", globals[0].scores, out.online[v]);
            log_q[v] = (detail::at_least_float(out.online[v]) / temperature).log_softmax(1);          // [B, K]
        }
        const Tensor loss = detail::cross_entropy_of_views("Dino", p, log_q);
        const at::NoGradGuard no_grad;
        entropy = at::special_entr(all).sum(1).mean();
        divergence = loss.detach() - entropy;
        if (!group.alone()) {
            const Tensor both = summed(at::stack({entropy, divergence}) * (group.weight() / group.size()), group);
            entropy = both[0];
            divergence = both[1];
        }
        return loss;
    }

    std::vector<double> host_numbers(const TrainingStep& at) const { return {target_temperature(at)}; }

    void commit(const Outputs& out) {
        if (centering != Centering::mean) return;
        const at::NoGradGuard no_grad;
        const Tensor t = rows(targets(out));
        const Autocast float32(t.device().type(), Precision::fp32);
        const Tensor mine = detail::at_least_float(t);
        const Tensor seen = group.alone() ? mine.mean(0, true)
                                          : summed(mine.sum(0, true), group) / group.all_rows(mine.size(0));  // [1, K]
        center.mul_(center_momentum).add_(seen.to(center.scalar_type()), 1 - center_momentum);
    }

    std::vector<std::pair<std::string, Tensor>> metrics() const {
        if (!entropy.defined()) return {};
        return {{"target_entropy", entropy}, {"target_kl", divergence}};
    }

private:
    struct Target {
        std::size_t view;
        Tensor scores;
    };

    void check() const {
        detail::require_temperature("Dino", temperature);
        target_temperature.check("Dino");
        require(center_momentum >= 0 && center_momentum <= 1, "Dino: center_momentum must lie between 0 and 1, got ",
                center_momentum);
    }

    /// Returns the target's scores of the global views.
    static std::vector<Target> targets(const Outputs& out) {
        std::vector<Target> all;
        for (std::size_t v = 0; v < out.target.size() && static_cast<std::int64_t>(v) < out.globals; ++v)
            if (out.target[v].defined()) all.push_back({v, out.target[v]});
        require(!all.empty(), "Dino: needs the target's outputs of at least one global view");
        for (const auto& one : all) detail::require_pair("Dino", all[0].scores, one.scores);
        require(out.online.size() == out.target.size(), "Dino: needs as many online outputs as targets, got ",
                out.online.size(), " and ", out.target.size());
        return all;
    }
    static Tensor rows(const std::vector<Target>& targets) {
        std::vector<Tensor> scores;
        for (const auto& one : targets) scores.push_back(one.scores);
        return scores.size() == 1 ? scores[0] : at::cat(scores);
    }
};

static_assert(contracts::OutputsLoss<Dino> && contracts::NamesPairing<Dino> && contracts::HasState<Dino> &&
              contracts::Builds<Dino> && contracts::Begins<Dino> && contracts::Commits<Dino>);

}  // namespace doppel::losses
