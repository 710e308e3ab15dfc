// SPDX-License-Identifier: Apache-2.0
// Which view meets which, and how the terms combine: the Recipe's `pairing` slot.
#pragma once

#include <concepts>
#include <cstdint>
#include <vector>

namespace doppel::pairings {

/// One term of the objective: loss(online[pair.online], target[pair.target]).
struct Pair {
    std::size_t online = 0, target = 0;
    bool operator==(const Pair&) const = default;
};

/// How the terms of several pairs become one scalar.
enum class Reduce { sum, mean };

/// View 0 online, view 1 target, once (MoCo v1/v2; losses that are symmetric in themselves).
struct OneWay {
    Reduce reduce = Reduce::sum;
    std::vector<Pair> operator()(std::size_t, std::size_t) const { return {{0, 1}}; }
};

/// Views 0 and 1, each once on either side (BYOL and MoCo v3: sum; SimSiam: mean).
struct Symmetric {
    Reduce reduce = Reduce::sum;
    std::vector<Pair> operator()(std::size_t, std::size_t) const { return {{0, 1}, {1, 0}}; }
};

/// OneWay, or with `both` Symmetric with the sum: what an option decides when the program runs (MoCo).
struct OneOrBoth {
    bool both = false;
    Reduce reduce = Reduce::sum;
    std::vector<Pair> operator()(std::size_t, std::size_t) const {
        return both ? std::vector<Pair>{{0, 1}, {1, 0}} : std::vector<Pair>{{0, 1}};
    }
};

/// Every ordered pair of different views.
struct AllPairs {
    Reduce reduce = Reduce::mean;
    std::vector<Pair> operator()(std::size_t views, std::size_t) const {
        std::vector<Pair> pairs;
        for (std::size_t o = 0; o < views; ++o)
            for (std::size_t t = 0; t < views; ++t)
                if (o != t) pairs.push_back({o, t});
        return pairs;
    }
};

/// Each global crop as target for all other crops: globals · (views − 1) terms (DINO, SwAV).
struct GlobalToAll {
    Reduce reduce = Reduce::mean;
    std::vector<Pair> operator()(std::size_t views, std::size_t globals) const {
        std::vector<Pair> pairs;
        for (std::size_t t = 0; t < globals; ++t)
            for (std::size_t o = 0; o < views; ++o)
                if (o != t) pairs.push_back({o, t});
        return pairs;
    }
};

/// What the `pairing` slot accepts: (number of views, number of global views) → pairs, and a `reduce`.
template <class P>
concept Pairing = requires(const P& p, std::size_t n) {
    { p(n, n) } -> std::convertible_to<std::vector<Pair>>;
    { p.reduce } -> std::convertible_to<Reduce>;
};

}  // namespace doppel::pairings
