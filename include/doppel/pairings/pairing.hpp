// SPDX-License-Identifier: Apache-2.0
// Pairings: which view meets which, and how the terms combine (the Recipe's `pairing` slot).
#pragma once

#include <cstddef>
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
struct OneSided {
    Reduce reduce = Reduce::sum;
    std::vector<Pair> operator()(std::size_t, std::size_t) const { return {{0, 1}}; }
};

/// Views 0 and 1, each once on either side (BYOL and MoCo v3: sum; SimSiam: mean).
struct Symmetric {
    Reduce reduce = Reduce::sum;
    std::vector<Pair> operator()(std::size_t, std::size_t) const { return {{0, 1}, {1, 0}}; }
};

/// Symmetric or OneSided, as an option decides when the program runs.
///
///     .pairing = pairings::Directions{.symmetric = options.symmetric}
struct Directions {
    bool symmetric = true;
    Reduce reduce = Reduce::sum;
    std::vector<Pair> operator()(std::size_t views, std::size_t globals) const {
        return symmetric ? Symmetric{}(views, globals) : OneSided{}(views, globals);
    }
};

/// Every pair of different views once, the lower number online: for losses that are symmetric in themselves.
struct EachPairOnce {
    Reduce reduce = Reduce::mean;
    std::vector<Pair> operator()(std::size_t views, std::size_t) const {
        std::vector<Pair> pairs;
        for (std::size_t o = 0; o < views; ++o)
            for (std::size_t t = o + 1; t < views; ++t) pairs.push_back({o, t});
        return pairs;
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

/// Each global view as target for all other views: globals · (views − 1) terms (DINO, SwAV).
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

}  // namespace doppel::pairings
