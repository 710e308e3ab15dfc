// SPDX-License-Identifier: Apache-2.0
// What a step draws by chance: permutations and masks, as functions of seed, step, row and view.
#pragma once

#include <doppel/core/batch.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/random.hpp>
#include <doppel/core/tensor.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace doppel::detail {

/// A permutation of a batch's rows, int64 [rows] on the CPU.
inline Tensor permutation(std::int64_t rows, std::uint64_t seed, std::int64_t step, std::size_t view) {
    Tensor order = at::arange(rows, at::kLong);
    std::span<std::int64_t> values(order.mutable_data_ptr<std::int64_t>(), static_cast<std::size_t>(rows));
    random::Stream draw({.seed = seed,
                         .purpose = random::Purpose::shuffle,
                         .epoch = static_cast<std::uint64_t>(step),
                         .view = view});
    draw.shuffle(values);
    return order;
}

/// Which patches of the global views are hidden, by the loss's mask(): a bool [B, N] each on the CPU, undefined for the
/// other views. `passes`: forward passes since the last commit().
template <class Loss, class Encoder>
std::vector<Tensor> hidden_patches(const Loss& loss, Encoder& encoder, const Batch& batch, std::uint64_t seed,
                                   std::int64_t step, std::size_t passes) {
    std::vector<Tensor> all(batch.views.size());
    for (std::size_t v = 0; v < static_cast<std::size_t>(batch.globals) && v < all.size(); ++v) {
        const Tensor& view = batch.views[v];
        const auto [rows, columns] = encoder->grid(view.size(2), view.size(3));
        all[v] = at::zeros({view.size(0), rows * columns}, at::kBool);
        bool* place = all[v].template mutable_data_ptr<bool>();
        const std::int64_t before = view.size(0) * static_cast<std::int64_t>(passes);
        for (std::int64_t i = 0; i < view.size(0); ++i) {
            const random::Stream draw({.seed = seed,
                                       .purpose = random::Purpose::mask,
                                       .epoch = static_cast<std::uint64_t>(step),
                                       .index = static_cast<std::uint64_t>(before + i),
                                       .view = v});
            const std::vector<bool> one = loss.mask(rows, columns, draw);
            require(static_cast<std::int64_t>(one.size()) == rows * columns, "Recipe.loss: mask() must say of ", rows,
                    " x ", columns, " patches whether they are hidden, it gave ", one.size());
            place = std::copy(one.begin(), one.end(), place);
        }
    }
    return all;
}

}  // namespace doppel::detail
