// SPDX-License-Identifier: Apache-2.0
// What the Recipe's `pairing` slot accepts.
#pragma once

#include <doppel/contracts/empty_slot.hpp>
#include <doppel/pairings/pairing.hpp>

#include <concepts>
#include <cstddef>
#include <vector>

namespace doppel::contracts {

/// pairing(number of views, number of global views) → pairs, and a member `reduce`: how their terms are combined.
/// Satisfied by pairings::OneSided, Symmetric, Directions, EachPairOnce, AllPairs, GlobalToAll.
template <class P>
concept Pairing = requires(const P& p, std::size_t n) {
    { p(n, n) } -> std::convertible_to<std::vector<pairings::Pair>>;
    { p.reduce } -> std::convertible_to<pairings::Reduce>;
};

/// A pairing, or ByLoss: the loss decides.
template <class P>
concept PairingSlot = std::same_as<P, ByLoss> || Pairing<P>;

static_assert(Pairing<pairings::OneSided> && Pairing<pairings::Symmetric> && Pairing<pairings::Directions> &&
              Pairing<pairings::EachPairOnce> && Pairing<pairings::AllPairs> && Pairing<pairings::GlobalToAll>);

}  // namespace doppel::contracts
