// SPDX-License-Identifier: Apache-2.0
// Log-sum-exp over the similarities of rows with columns, by tiles.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/losses/detail/similarity_tiles.hpp>
#include <doppel/losses/tiles.hpp>

#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace doppel::losses::detail {

/// Throws Error in a backward pass that is to be differentiated again.
inline void require_first_derivative() {
    require(!c10::GradMode::is_enabled(), "Tiles: a loss by tiles has first derivatives only; set .tiles = losses::no_tiles");
}

class CrossLogSumExp : public torch::autograd::Function<CrossLogSumExp> {
public:
    using Context = torch::autograd::AutogradContext;
    using List = torch::autograd::variable_list;

    static List forward(Context* context, const Tensor& a, const Tensor& b, double scale, bool columns,
                        const std::vector<std::int64_t>& excluded, std::int64_t side, double bound) {
        const SimilarityTiles tiles{a, b, scale, excluded, side, bound};
        auto rows = tiles.sums(a.size(0)), others = tiles.sums(columns ? b.size(0) : 0);
        tiles.add_to(rows, columns ? &others : nullptr);
        List result{rows.log(a.scalar_type())};
        if (columns) result.push_back(others.log(a.scalar_type()));
        context->saved_data["scale"] = scale;
        context->saved_data["excluded"] = excluded;
        context->saved_data["side"] = side;
        context->saved_data["bound"] = bound;
        List saved{a, b};
        saved.insert(saved.end(), result.begin(), result.end());
        context->save_for_backward(std::move(saved));
        return result;
    }

    static List backward(Context* context, const List& gradients) {
        require_first_derivative();
        const auto saved = context->get_saved_variables();
        const Tensor &a = saved[0], &b = saved[1];
        const SimilarityTiles tiles{a, b, context->saved_data["scale"].toDouble(), context->saved_data["excluded"].toIntVector(),
                                    context->saved_data["side"].toInt(), context->saved_data["bound"].toDouble()};
        const auto side = [&](std::size_t i) {
            return SimilarityTiles::Side{saved[2 + i], gradients[i].defined() ? gradients[i] : at::zeros_like(saved[2 + i])};
        };
        const auto rows = side(0), columns = gradients.size() > 1 ? side(1) : SimilarityTiles::Side{};
        const Tensor into_a = context->needs_input_grad(0) ? at::zeros_like(a) : Tensor();
        const Tensor into_b = context->needs_input_grad(1) ? at::zeros_like(b) : Tensor();
        tiles.add_gradient(rows, gradients.size() > 1 ? &columns : nullptr, into_a, into_b);
        return {into_a, into_b, {}, {}, {}, {}, {}};
    }
};

/// Returns log Σ_j exp(a_i·b_j/τ) of each row i [M] and, if `columns`, log Σ_i exp(a_i·b_j/τ) of each column j [N], without
/// the diagonals j − i in `excluded`. a [M, D] and b [N, D] are contiguous, of one type and different tensors; `bound` is
/// the largest possible |a_i·b_j|.
/// Memory: two tiles beside results and gradients.
inline std::vector<Tensor> cross_log_sum_exp(const Tensor& a, const Tensor& b, double temperature, const Tiles& tiles,
                                             bool columns = false, const std::vector<std::int64_t>& excluded = {},
                                             double bound = std::numeric_limits<double>::infinity()) {
    // A tensor given twice would be taken for a symmetric matrix, which has rows alone.
    return CrossLogSumExp::apply(a, b.is_same(a) ? b.view_as(b) : b, 1 / temperature, columns, excluded, tiles.side_on(a), bound);
}

}  // namespace doppel::losses::detail
