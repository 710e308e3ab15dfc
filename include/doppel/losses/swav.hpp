// SPDX-License-Identifier: Apache-2.0
// SwAV: each view predicts the prototype assignments of the image's other views.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/collectives.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/training_step.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/losses/detail/cross_views.hpp>
#include <doppel/losses/detail/rows.hpp>
#include <doppel/losses/sinkhorn.hpp>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/where.h>
#include <ATen/ops/xlogy.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace doppel::losses {

/// Swapped assignments between views, with K trained prototypes C [K, D]:
///
///     s_v = ẑ_v Cᵀ,   ẑ = z / ‖z‖,   rows of C of length 1,   p_i = sinkhorn(s_i)
///     L = 1 / (G (V − 1)) Σ_{i < G} Σ_{v ≠ i} mean over the rows of −Σ_k p_ik log softmax(s_v / τ)_k
///
/// Views 0 … G − 1 are global. No gradient flows into p. With several sets of prototypes, the mean over the sets.
/// Shapes: V ≥ 2 views' embeddings [B, D] in Outputs::online, any floating type, need not be normalized. Result:
/// scalar, float32 (float64 for float64 inputs). Needs no target, predictor or pairing.
/// State: `loss.prototypes_0` … [K, D], trained parameters, initialized as the weights of torch's Linear. build() and
/// each commit() normalize their rows, which is equivalent to the authors' normalization before each step.
/// Queue, for batches that are small compared to K: the last `queue` embeddings of each global view (`loss.queue_0` …
/// [queue, D]) are scored by the current prototypes and join Sinkhorn's batch; only the rows of the batch are used.
/// commit() writes the embeddings of the batch over the oldest ones, from epoch `queue_from` on; the queue is used once
/// it is full. Several forward passes before one commit() read the same queue.
/// Numerics: float32, also under autocast. Uniform outputs yield ln K: 8.006 for K = 3000.
/// Accumulated gradients: assignments are those of the micro-batch.
/// Differs: lightly's prototypes have a bias and are normalized by the caller.
/// Throws Error for options out of range, for mismatched shapes, for a view that did not go through the network.
/// Source: Caron, Misra, Mairal, Goyal, Bojanowski, Joulin, "Unsupervised Learning of Visual Features by Contrasting
/// Cluster Assignments", 2020, arXiv:2006.09882, section 3; queue: section 3.1; the authors' code.
///
///     Recipe{..., .projector = heads::Mlp{.out = 128, .bias = heads::Bias::always}, .loss = losses::Swav{},
///            .layout = {.join_views = true, .join_heads = true}}
struct Swav {
    std::vector<std::int64_t> prototypes{3000};  ///< K ≥ 2 of each set, one set or several
    double temperature = 0.1;                    ///< τ > 0
    Sinkhorn assignment{};                       ///< Sinkhorn-Knopp of the assignments
    std::int64_t queue = 0;                      ///< queued embeddings of each global view; 0: no queue
    std::int64_t queue_from = 15;                ///< first epoch that writes the queue, ≥ 0
    std::int64_t queued_views = 2;               ///< number of global views, each with a queue; ignored without one
    std::vector<Tensor> weights{};               ///< state: the sets of prototypes [K, D]; do not set
    std::vector<Tensor> queues{};                ///< state: [queue, D] each; do not set
    std::int64_t queue_rows = 0;                 ///< state: rows written so far to each queue; do not set
    Tensor assigned{}, predicted{};              ///< results of the last call for metrics(); do not set
    Group group{};                               ///< set by join()

    /// Sinkhorn's batch is that of all processes, and so are the rows of the queue, of which each process scores its part.
    void join(const Group& with) { group = with; }

    void build(std::int64_t dim) {
        check();
        weights.clear();
        queues.clear();
        queue_rows = 0;
        const double bound = 1 / std::sqrt(static_cast<double>(dim));
        for (const std::int64_t k : prototypes) {
            const Tensor drawn = at::empty({k, dim}, at::kFloat).uniform_(-bound, bound);
            weights.push_back(detail::unit_rows(drawn).requires_grad_(true));
        }
        if (queue > 0)
            for (std::int64_t v = 0; v < queued_views; ++v) queues.push_back(at::zeros({queue, dim}, at::kFloat));
    }

    template <class Visitor>
    void state(Visitor&& visit) {
        const auto each = [&](const std::string& name, std::vector<Tensor>& list) {
            for (std::size_t i = 0; i < list.size(); ++i) visit((name + std::to_string(i)).c_str(), list[i]);
        };
        each("prototypes_", weights);
        each("queue_", queues);
    }

    std::vector<std::pair<std::string, std::int64_t*>> counters() {
        if (queue == 0) return {};
        return {{"queue_rows", &queue_rows}};
    }

    /// Returns a warning if the queue is never used in the run.
    std::string begin(const Horizon& horizon) const {
        check();
        const std::int64_t epoch = horizon.steps_per_epoch;
        if (queue == 0 || (epoch <= 0 && queue_from == 0)) return {};
        const std::int64_t batch = epoch > 0 ? horizon.samples / epoch : 0;
        const std::int64_t writes = epoch > 0 ? std::max<std::int64_t>(0, horizon.steps - 1 - queue_from * epoch) : 0;
        if (writes * batch >= queue) return {};
        std::ostringstream text;
        text << "Swav: the queue of " << queue << " embeddings, written from epoch " << queue_from
             << " on, is not full before the run ends and is never used; make it smaller, start it earlier, or "
                "disable it";
        return text.str();
    }

    Tensor operator()(const Outputs& out) {
        check(out);
        const Autocast float32(out.online[0].device().type(), Precision::fp32);
        const auto globals = static_cast<std::size_t>(out.globals);
        const std::int64_t rows = out.online[0].size(0);
        const bool queued = queue > 0 && queue_rows >= queue;
        const RowRange part = rows_of(queue, group.rank(), group.size());  // of the queue
        const Tensor z = detail::unit_rows(at::cat(out.online));                                      // [V·B, D]
        Tensor loss, assigned_sum, predicted_sum;
        for (const Tensor& weight : weights) {
            const Tensor c = weight.to(z.scalar_type());
            const Tensor all = z.mm(c.t());                                                           // [V·B, K]
            const auto log_q = (all / temperature).log_softmax(1).split(rows);
            std::vector<Tensor> p(log_q.size());
            {
                const at::NoGradGuard no_grad;
                const auto s = all.detach().split(rows);
                for (std::size_t i = 0; i < globals; ++i)
                    p[i] = queued ? sinkhorn(at::cat({queues[i].narrow(0, part.first, part.count).to(z.scalar_type()).mm(c.t()), s[i]}),
                                             assignment, {}, group)
                                        .narrow(0, part.count, rows)
                                  : sinkhorn(s[i], assignment, {}, group);                            // [B, K]
                const std::vector<Tensor> used(p.begin(), p.begin() + out.globals);
                add(assigned_sum, evenness(mean_of_all(at::cat(used).mean(0))));
                add(predicted_sum, evenness(mean_of_all(log_q[0].exp().mean(0))));
            }
            add(loss, detail::cross_entropy_of_views("Swav", p, log_q));
        }
        const auto sets = static_cast<double>(weights.size());
        assigned = assigned_sum / sets;
        predicted = predicted_sum / sets;
        return loss / sets;
    }

    /// The queue is used or not, and a step that is not taken after all moves the moment by a step at most.
    std::vector<double> host_numbers(const TrainingStep&) const { return {queue > 0 && queue_rows >= queue ? 1.0 : 0.0}; }

    /// `bad` [] on the device: the queue stays as it is if that is 1.
    void commit(const Outputs& out, const Tensor& bad = {}) {
        const at::NoGradGuard no_grad;
        for (Tensor& weight : weights) {
            const Tensor unit = detail::unit_rows(weight);
            weight.copy_(bad.defined() ? at::where(bad.ne(0), weight, unit) : unit);
        }
        if (queue == 0 || out.at.epoch() < queue_from) return;
        const std::int64_t rows = std::min(queue, group.all_rows(out.online[0].size(0))), from = queue_rows % queue;
        const std::int64_t first = std::min(rows, queue - from);  // up to the end, the rest from the beginning
        const auto put = [&](Tensor to, const Tensor& value) { to.copy_(bad.defined() ? at::where(bad.ne(0), to, value.to(to.scalar_type())) : value); };
        for (std::size_t i = 0; i < queues.size(); ++i) {
            const Tensor z = detail::unit_rows(gathered(out.online[i], group)), last = z.narrow(0, z.size(0) - rows, rows);
            put(queues[i].narrow(0, from, first), last.narrow(0, 0, first));
            if (first < rows) put(queues[i].narrow(0, 0, rows - first), last.narrow(0, first, rows - first));
        }
        queue_rows += rows;
    }

    /// Returns how evenly the prototypes are used: entropy / ln K, 1 if uniform. `assignment_evenness`: of the mean
    /// assignment, which Sinkhorn keeps near 1; `prediction_evenness`: of the mean prediction of view 0.
    std::vector<std::pair<std::string, Tensor>> metrics() const {
        if (!assigned.defined()) return {};
        return {{"assignment_evenness", assigned}, {"prediction_evenness", predicted}};
    }

private:
    static void add(Tensor& sum, const Tensor& value) { sum = sum.defined() ? sum + value : value; }

    Tensor mean_of_all(const Tensor& mean) const {
        return group.alone() ? mean : summed(mean * (group.weight() / group.size()), group);
    }

    static Tensor evenness(const Tensor& p) {
        return at::xlogy(p, p).sum() / -std::log(static_cast<double>(p.size(0)));
    }

    void check() const {
        require(!prototypes.empty(), "Swav: needs at least one set of prototypes");
        for (const std::int64_t k : prototypes)
            require(k >= 2, "Swav: prototypes must be at least 2 in each set, got ", k);
        detail::require_temperature("Swav", temperature);
        require(queue >= 0, "Swav: queue must be at least 0, got ", queue);
        require(queue_from >= 0, "Swav: queue_from must be at least 0, got ", queue_from);
        require(queue == 0 || queued_views >= 1, "Swav: queued_views must be at least 1, got ", queued_views);
    }

    void check(const Outputs& out) const {
        check();
        const auto views = static_cast<std::int64_t>(out.online.size());
        require(views >= 2, "Swav: needs at least two views of an image, got ", views);
        require(out.globals >= 1 && out.globals <= views, "Swav: the batch must have from 1 to ", views,
                " global views, got ", out.globals);
        for (std::size_t v = 0; v < out.online.size(); ++v)
            require(out.online[v].defined(), "Swav: view ", v,
                    " did not go through the online branch; leave the pairing to the loss");
        for (const Tensor& z : out.online) detail::require_pair("Swav", out.online[0], z);
        const std::int64_t dim = out.online[0].size(1);
        require(weights.size() == prototypes.size() && weights[0].size(1) == dim, "Swav: the prototypes must be [K, ",
                dim, "], got ", weights.empty() ? at::IntArrayRef{} : weights[0].sizes(), "; call build(", dim,
                ") first");
        require(queue == 0 || out.globals == queued_views, "Swav: there are queues for ", queued_views,
                " global views (queued_views), the batch has ", out.globals);
    }
};

static_assert(contracts::OutputsLoss<Swav> && contracts::HasState<Swav> && contracts::Builds<Swav> &&
              contracts::Commits<Swav> && contracts::HasCounters<Swav>);

}  // namespace doppel::losses
