// SPDX-License-Identifier: Apache-2.0
// What a forward pass needs that is drawn at random, apart from the views: ShuffleBN's permutations and patch masks.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/contracts/target.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/recipe/branch.hpp>
#include <doppel/recipe/masked_patches.hpp>
#include <doppel/recipe/route.hpp>
#include <doppel/recipe/split_batch_norm.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace doppel::detail {

struct Draw {
    std::uint64_t seed = 0;
    std::int64_t step = 0;
    std::size_t pass = 0;  ///< forward passes of the step before this one
    bool filled = false;   ///< masked patches are filled up so that their number seldom changes
};

/// Whether a recipe's forward pass needs anything drawn.
template <class R>
bool needs_draws(const R& recipe) {
    return contracts::MaskingLoss<typename R::Loss> || (contracts::NetworkTarget<typename R::Target> && recipe.layout.shuffle_target);
}

/// Draws it into Batch::orders and Batch::masked, on the CPU.
template <class R, class Encoder>
void draw(const R& recipe, Encoder& encoder, Batch& batch, const Draw& how) {
    if (!needs_draws(recipe)) return;
    const Route route = route_of(recipe, batch);
    const auto online = passes_of(batch.views, route.online, recipe.layout.join_views);
    auto all = passes_of(batch.views, route.target, recipe.layout.join_views);
    if (contracts::NetworkTarget<typename R::Target> && recipe.layout.shuffle_target) {
        batch.orders.resize(batch.views.size());
        for (const auto& members : all)
            batch.orders[members.front()] = shuffled_rows(
                (batch.all > 0 ? batch.all : batch.views[members.front()].size(0)) * static_cast<std::int64_t>(members.size()), how.seed, how.step, members.front());
    }
    if constexpr (contracts::MaskingLoss<typename R::Loss>) {
        all.insert(all.begin(), online.begin(), online.end());
        batch.masked.resize(batch.views.size());
        const auto drawn = draw_masks(recipe.loss, encoder, batch, how.seed, how.step, how.pass);
        for (const auto& members : all) {
            MaskedPatches& masked = batch.masked[members.front()];
            std::int64_t multiple = 1;
            if constexpr (requires { recipe.loss.ignores_weightless(); })
                if (how.filled && recipe.loss.ignores_weightless() && drawn[members.front()].defined())
                    multiple = std::max<std::int64_t>(64, drawn[members.front()].numel() / 16);
            if (!masked.mask.defined()) masked = masked_patches(drawn, members, multiple);
        }
    }
}

/// Puts what was drawn where the views are.
inline void move_draws(Batch& batch) {
    const auto move = [&](Tensor& part) {
        if (part.defined()) part = part.to(batch.views.front().device());
    };
    for (Tensor& order : batch.orders) move(order);
    for (MaskedPatches& masked : batch.masked)
        for (Tensor* part : {&masked.mask, &masked.places, &masked.weight}) move(*part);
}

}  // namespace doppel::detail
