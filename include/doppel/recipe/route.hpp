// SPDX-License-Identifier: Apache-2.0
// Which views of a batch go through which branch of a recipe.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/contracts/target.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/error.hpp>
#include <doppel/pairings/pairing.hpp>
#include <doppel/recipe/recipe.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <vector>

namespace doppel::detail {

/// The forms in which a recipe's loss may be called.
template <class R>
struct LossForms {
    using Loss = typename R::Loss;
    static constexpr bool is_paired = std::same_as<typename R::Pairing, ByLoss>;  // by the loss, not by the recipe
    static constexpr bool on_outputs = contracts::OutputsLoss<Loss>;
    static constexpr bool on_pairs = std::same_as<typename R::Queue, None> ? contracts::PairLoss<Loss> : contracts::MemoryLoss<Loss>;
};

/// Which views go through which branch, and how the loss is called.
struct Route {
    bool at_once = false;                 ///< loss(Outputs), not a term a pair
    std::vector<pairings::Pair> pairs{};  ///< empty: all views go through both branches
    std::vector<bool> online{}, target{}; ///< of each view
};

/// What the pairing slot or the loss says, else once.
template <class R>
auto pairing_of(const R& recipe) {
    if constexpr (!LossForms<R>::is_paired)
        return recipe.pairing;
    else if constexpr (contracts::NamesPairing<typename R::Loss>)
        return typename R::Loss::Pairing{};
    else
        return pairings::OneSided{};
}

template <class R>
Route route_of(const R& recipe, const Batch& batch) {
    using Forms = LossForms<R>;
    const std::size_t views = batch.views.size();
    require(views >= 1, "Method: the batch has no views");
    Route route{.at_once = Forms::on_outputs && (!Forms::on_pairs || (Forms::is_paired && views > 2)),
                .online = std::vector<bool>(views),
                .target = std::vector<bool>(views)};
    if (route.at_once && Forms::is_paired && !contracts::NamesPairing<typename R::Loss>) {
        route.online.assign(views, true);
        route.target.assign(views, true);
        return route;
    }
    route.pairs = pairing_of(recipe)(views, static_cast<std::size_t>(batch.globals));
    for (const auto [o, t] : route.pairs) {
        require(o < views && t < views, "Recipe.pairing asks for view ", std::max(o, t), ", the batch has ", views);
        route.online[o] = route.target[t] = true;
    }
    require(route.at_once || !route.pairs.empty(), "Recipe.pairing gives no pair for ", views, " views");
    std::size_t used = 0;
    for (std::size_t v = 0; v < views; ++v)
        if (route.online[v] || route.target[v]) ++used;
    require(route.at_once || used == views, "Recipe.pairing uses ", used, " of the batch's ", views,
            " views and leaves the others unseen; make only ", used, " views, or pair all of them: .pairing = "
            "pairings::EachPairOnce{} (a symmetric loss), AllPairs{} or GlobalToAll{}");
    if constexpr (!contracts::NetworkTarget<typename R::Target>)  // one network: what the target needs is a pass of the online branch
        for (std::size_t v = 0; v < views; ++v) route.online[v] = route.online[v] || route.target[v];
    return route;
}

}  // namespace doppel::detail
