// SPDX-License-Identifier: Apache-2.0
// The loss of a recipe's outputs, in one process or in several.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/random.hpp>
#include <doppel/core/seed.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/pairings/pairing.hpp>
#include <doppel/recipe/processes.hpp>
#include <doppel/recipe/route.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace doppel::detail {

inline const Tensor& one_of(const std::vector<Tensor>& views) {
    for (const Tensor& z : views)
        if (z.defined()) return z;
    fail("Method: no view went through the online branch");
}

/// The loss of these outputs: once for all views, or a term for each pair.
template <class R>
Tensor loss_of(R& recipe, const Outputs& out, const Route& route) {
    using Forms = LossForms<R>;
    if constexpr (Forms::on_outputs)
        if (route.at_once) return recipe.loss(out);
    if constexpr (Forms::on_pairs) {
        Tensor sum;
        for (const auto [o, t] : route.pairs) {
            Tensor term;
            if constexpr (!std::same_as<typename R::Queue, None>)
                term = recipe.loss(out.online[o], out.target[t], out.memory);
            else
                term = recipe.loss(out.online[o], out.target[t]);
            sum = sum.defined() ? sum + term : term;
        }
        return pairing_of(recipe).reduce == pairings::Reduce::mean ? sum / static_cast<double>(route.pairs.size()) : sum;
    }
    return {};
}

/// The loss of this process, whose mean over the processes is the loss of the whole batch. What a loss draws from torch's
/// generator is the same in all: a function of seed, step and `pass`, the forward passes of the step before this one.
template <class R>
Tensor loss_on(R& recipe, const Outputs& out, const Route& route, const Group& group, std::uint64_t seed, std::size_t pass) {
    using Loss = typename R::Loss;
    if (group.alone()) return loss_of(recipe, out, route);
    random::Stream draw({.seed = seed,
                         .purpose = random::Purpose::step,
                         .epoch = static_cast<std::uint64_t>(out.at.step),
                         .view = 1 + pass});  // 0: what a process draws for itself
    const auto drawn = draw.below(std::uint64_t{1} << 53);
    const auto device = one_of(out.online).device();
    if constexpr (contracts::Joins<Loss>) recipe.loss.join(group);
    if constexpr (contracts::Joins<Loss> || contracts::PerImage<Loss>) {
        const SeedScope same(drawn, device);
        const Tensor loss = loss_of(recipe, out, route);
        return group.weight() == 1 ? loss : loss * group.weight();
    } else {
        Outputs all = gathered(out, group, /*whole=*/route.at_once);
        if constexpr (contracts::MaskingLoss<Loss>) {
            all.patches = gathered(out.patches, group, one_of(out.online));
        }
        const SeedScope same(drawn, device);
        return loss_of(recipe, all, route);
    }
}

}  // namespace doppel::detail
