// SPDX-License-Identifier: Apache-2.0
// A pool of embeddings in which each is compared with all others, by tiles.
#pragma once

#include <doppel/core/tensor.hpp>
#include <doppel/losses/detail/class_means.hpp>
#include <doppel/losses/detail/cross_log_sum_exp.hpp>
#include <doppel/losses/detail/rows.hpp>
#include <doppel/losses/detail/similarity_tiles.hpp>
#include <doppel/losses/tiles.hpp>

#include <ATen/ops/div.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace doppel::losses::detail {

/// Returns a_i·b_i for each row [N, D] → [N], in portions.
inline Tensor row_dots(const Tensor& a, const Tensor& b) {
    const auto n = a.size(0), portion = std::max<std::int64_t>((std::int64_t{1} << 18) / std::max<std::int64_t>(a.size(1), 1), 1);
    Tensor result = at::empty({n}, a.options());
    for (std::int64_t from = 0; from < n; from += portion) {
        const auto count = std::min(portion, n - from);
        Tensor part = result.narrow(0, from, count);
        at::sum_out(part, a.narrow(0, from, count) * b.narrow(0, from, count), 1);
    }
    return result;
}

/// The unit rows of V views, one below the other, and what the gradient needs of them. Holds no copy of the views.
struct UnitPool {
    Tensor z, norm;  ///< [VN, D], [VN, 1]

    explicit UnitPool(at::TensorList views) {
        const auto count = static_cast<std::int64_t>(views.size()), n = views[0].size(0);
        bool wide = false;
        for (const Tensor& view : views) wide = wide || view.scalar_type() == at::kDouble;
        const auto options = views[0].options().dtype(wide ? at::kDouble : at::kFloat);
        z = at::empty({count * n, views[0].size(1)}, options);
        norm = at::empty({count * n, 1}, options);
        for (std::int64_t v = 0; v < count; ++v) {
            Tensor rows = z.narrow(0, v * n, n), lengths = norm.narrow(0, v * n, n);
            rows.copy_(views[static_cast<std::size_t>(v)]);
            lengths.copy_(rows.norm(2, 1, true));
            rows.div_(lengths.clamp_min(1e-12));
        }
    }
    /// Turns a gradient of the unit rows into that of the views, in place.
    static void to_views(const Tensor& gradient, const Tensor& z, const Tensor& norm) {
        const Tensor along = row_dots(gradient, z).unsqueeze(1).mul_(norm.ge(1e-12));                 // [VN, 1]
        gradient.addcmul_(z, along, -1).div_(norm.clamp_min(1e-12));
    }
};

/// The mean of a row's positives: its image's other views, or the others of its class.
struct Positives {
    std::int64_t views;
    Tensor label;  ///< [VN], or undefined

    /// Returns ẑ_i·mean_{p ∈ P(i)} ẑ_p [VN].
    Tensor similarity(const Tensor& z) const {
        if (label.defined()) return row_dots(z, ClassMeans(label).of_others(z));
        const auto n = z.size(0) / views;
        Tensor result = at::zeros({z.size(0)}, z.options());
        pairs([&](std::int64_t v, std::int64_t w) {
            if (v > w) return;
            const Tensor both = row_dots(z.narrow(0, v * n, n), z.narrow(0, w * n, n));
            result.narrow(0, v * n, n).add_(both);
            result.narrow(0, w * n, n).add_(both);
        });
        return result.div_(static_cast<double>(views - 1));
    }
    void add_gradient(const Tensor& z, const Tensor& gradient, const Tensor& into) const {
        const Tensor weight = gradient.unsqueeze(1);                                                  // [VN, 1]
        if (label.defined()) {
            const ClassMeans means(label);
            into.addcmul_(means.of_others(z), weight).add_(means.of_others(z * weight));
            return;
        }
        const auto n = z.size(0) / views;
        pairs([&](std::int64_t v, std::int64_t w) {
            const Tensor both = weight.narrow(0, v * n, n) + weight.narrow(0, w * n, n);
            into.narrow(0, v * n, n).addcmul_(z.narrow(0, w * n, n), both, 1.0 / static_cast<double>(views - 1));
        });
    }

private:
    template <class Action>
    void pairs(Action&& action) const {
        for (std::int64_t v = 0; v < views; ++v)
            for (std::int64_t w = 0; w < views; ++w)
                if (v != w) action(v, w);
    }
};

class Pool : public torch::autograd::Function<Pool> {
public:
    using Context = torch::autograd::AutogradContext;
    using List = torch::autograd::variable_list;

    static List forward(Context* context, at::TensorList views, const std::optional<Tensor>& label, double scale,
                        const std::vector<std::int64_t>& excluded, std::int64_t side) {
        const UnitPool pool(views);
        const SimilarityTiles tiles{pool.z, pool.z, scale, excluded, side, 1};
        auto rows = tiles.sums(pool.z.size(0));
        tiles.add_to(rows, &rows);
        const Tensor log_sum = rows.log(pool.z.scalar_type());
        context->saved_data["views"] = static_cast<std::int64_t>(views.size());
        context->saved_data["scale"] = scale;
        context->saved_data["excluded"] = excluded;
        context->saved_data["side"] = side;
        context->save_for_backward({pool.z, pool.norm, log_sum, label.value_or(Tensor())});
        return {log_sum, Positives{static_cast<std::int64_t>(views.size()), label.value_or(Tensor())}.similarity(pool.z)};
    }

    static List backward(Context* context, const List& gradients) {
        require_first_derivative();
        const auto saved = context->get_saved_variables();
        const Tensor &z = saved[0], &norm = saved[1], &log_sum = saved[2];
        const auto views = context->saved_data["views"].toInt();
        const Tensor into = at::zeros_like(z);
        if (gradients[1].defined()) Positives{views, saved[3]}.add_gradient(z, gradients[1], into);
        if (gradients[0].defined()) {
            const SimilarityTiles tiles{z, z, context->saved_data["scale"].toDouble(),
                                        context->saved_data["excluded"].toIntVector(), context->saved_data["side"].toInt(), 1};
            const SimilarityTiles::Side rows{log_sum, gradients[0]};
            tiles.add_gradient(rows, &rows, into, into);
        }
        UnitPool::to_views(into, z, norm);
        List result;
        for (const Tensor& view : into.chunk(views)) result.push_back(view);  // autograd casts to the type of the view
        result.resize(result.size() + 4);
        return result;
    }
};

/// For each of the VN embeddings of V views [N, D], one view below the other:
///
///     log_sum_i = log Σ_j exp(ẑ_i·ẑ_j/τ), without the diagonals j − i in `excluded`
///     positive_i = mean_{p ∈ P(i)} ẑ_i·ẑ_p, P(i) the image's other views or, with labels [VN], the others of the class
///
/// Shapes: both [VN], float32 (float64 for float64 inputs).
/// Memory: the unit rows, and two tiles; the gradient is made in its place.
struct PoolTerms {
    Tensor log_sum, positive;

    PoolTerms(const std::vector<Tensor>& views, double temperature, const Tiles& tiles, const std::vector<std::int64_t>& excluded,
              const std::optional<Tensor>& label = std::nullopt) {
        const auto both = Pool::apply(at::TensorList(views), label, 1 / temperature, excluded, tiles.side_on(views[0]));
        log_sum = both[0];
        positive = both[1];
    }
};

}  // namespace doppel::losses::detail
