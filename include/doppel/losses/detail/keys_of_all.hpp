// SPDX-License-Identifier: Apache-2.0
// Log-sum-exp over the similarities of this process's rows with the keys of all processes.
#pragma once

#include <doppel/core/collectives.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/losses/detail/cross_log_sum_exp.hpp>
#include <doppel/losses/detail/similarity_tiles.hpp>
#include <doppel/losses/tiles.hpp>

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace doppel::losses::detail {

/// The keys of all processes, one process's block after the other: gathered, or travelling around a ring, in which each
/// process holds its own block, the one that it looks at, and the one that arrives.
struct KeysOfAll {
    const Group& group;
    bool ring;

    static bool travel(const Tensor& keys, const Group& group, const Tiles& tiles) {
        return group.all_rows(keys.size(0)) * keys.size(1) > tiles.ring_above;
    }

    /// Calls look(keys, own) for each block, own for this process's.
    template <class Look>
    void each(const Tensor& mine, Look&& look) const {
        with_gradient(mine, false, [&](const Tensor& keys, const Tensor&, bool own) { look(keys, own); });
    }

    /// Calls look(keys, gradient, own) for each block, which adds what this process's rows give to `gradient`. Returns the sum
    /// over the processes for this process's block, if `wanted`.
    template <class Look>
    Tensor with_gradient(const Tensor& mine, bool wanted, Look&& look) const {
        return ring ? around(mine, wanted, look) : at_once(mine, wanted, look);
    }

private:
    template <class Look>
    Tensor at_once(const Tensor& mine, bool wanted, Look& look) const {
        const Tensor all = doppel::detail::gather_rows(mine, group);
        Tensor gradients = wanted ? at::zeros_like(all) : Tensor();
        const auto counts = group.rows(mine.size(0));
        std::int64_t from = 0;
        for (std::size_t r = 0; r < counts.size(); from += counts[r++])
            look(all.narrow(0, from, counts[r]), wanted ? gradients.narrow(0, from, counts[r]) : Tensor(),
                 static_cast<int>(r) == group.rank());
        if (!wanted) return {};
        group.collectives().sum(gradients);
        return gradients.narrow(0, group.rows_before(mine.size(0)), mine.size(0)).contiguous();
    }

    /// In step s the block of process rank − s is here; its gradient travels with it, and one step more, back to its process.
    template <class Look>
    Tensor around(const Tensor& mine, bool wanted, Look& look) const {
        const auto counts = group.rows(mine.size(0));
        const int size = group.size();
        Tensor keys = mine.contiguous(), gradient = wanted ? at::zeros_like(keys) : Tensor();
        for (int s = 0; s < size; ++s) {
            look(keys, gradient, s == 0);
            const auto from = static_cast<std::size_t>((group.rank() - s - 1 + size) % size);
            const auto pass = [&](Tensor& block) {
                Tensor next = at::empty({counts[from], mine.size(1)}, mine.options());
                group.collectives().pass_on(block, next);
                block = std::move(next);
            };
            if (s + 1 < size) pass(keys);
            if (wanted) pass(gradient);
        }
        return gradient;
    }
};

class LogSumExpOverAll : public torch::autograd::Function<LogSumExpOverAll> {
public:
    using Context = torch::autograd::AutogradContext;
    using List = torch::autograd::variable_list;

    static Tensor forward(Context* context, const Tensor& a, const Tensor& b, const Group& group, bool ring, double scale,
                          const std::vector<std::int64_t>& excluded, std::int64_t side, double bound) {
        auto rows = SimilarityTiles{a, b, scale, {}, side, bound}.sums(a.size(0));
        KeysOfAll{group, ring}.each(b, [&](const Tensor& keys, bool own) {
            SimilarityTiles{a, keys, scale, own ? excluded : std::vector<std::int64_t>{}, side, bound}.add_to(rows, nullptr);
        });
        const Tensor result = rows.log(a.scalar_type());
        context->saved_data["group"] = c10::IValue::make_capsule(c10::make_intrusive<doppel::detail::GatheredFunction::Holder>(group));
        context->saved_data["ring"] = ring;
        context->saved_data["scale"] = scale;
        context->saved_data["excluded"] = excluded;
        context->saved_data["side"] = side;
        context->saved_data["bound"] = bound;
        context->save_for_backward({a, b, result});
        return result;
    }

    static List backward(Context* context, const List& gradients) {
        require_first_derivative();
        const auto saved = context->get_saved_variables();
        const Tensor &a = saved[0], &b = saved[1];
        const auto own_excluded = context->saved_data["excluded"].toIntVector();
        const SimilarityTiles::Side rows{saved[2], gradients[0].defined() ? gradients[0] : at::zeros_like(saved[2])};
        const Tensor into_a = context->needs_input_grad(0) ? at::zeros_like(a) : Tensor();
        const KeysOfAll all{doppel::detail::GatheredFunction::group_of(*context), context->saved_data["ring"].toBool()};
        const Tensor into_b = all.with_gradient(b, context->needs_input_grad(1), [&](const Tensor& keys, const Tensor& into, bool own) {
            SimilarityTiles{a, keys, context->saved_data["scale"].toDouble(), own ? own_excluded : std::vector<std::int64_t>{},
                            context->saved_data["side"].toInt(), context->saved_data["bound"].toDouble()}
                .add_gradient(rows, nullptr, into_a, into);
        });
        return {into_a, into_b, {}, {}, {}, {}, {}, {}};
    }
};

/// Returns log Σ_j exp(a_i·b_j/τ) of each row i of this process [M] over the keys b [N, D] of all processes. `excluded`: diagonals
/// j − i of this process's own block that do not count. Gradients flow into the rows, and from all processes into the keys.
/// Memory: rows, keys and gradients of this process, two tiles, and the keys of all processes or, above `tiles.ring_above`,
/// of two.
inline Tensor log_sum_exp_over_all(const Tensor& a, const Tensor& b, const Group& group, double temperature, const Tiles& tiles,
                                   const std::vector<std::int64_t>& excluded = {},
                                   double bound = std::numeric_limits<double>::infinity()) {
    // A tensor given twice would be taken for a symmetric matrix.
    return LogSumExpOverAll::apply(a.contiguous(), b.is_same(a) ? b.view_as(b) : b.contiguous(), group,
                                   KeysOfAll::travel(b, group, tiles), 1 / temperature, excluded, tiles.side_on(a), bound);
}

}  // namespace doppel::losses::detail
