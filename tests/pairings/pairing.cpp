// SPDX-License-Identifier: Apache-2.0
#include <doppel/pairings/pairing.hpp>

#include "support/support.hpp"

using namespace doppel;

TEST_CASE("pairings give the terms of their papers") {
    using pairings::Pair;
    CHECK((pairings::OneSided{}(2, 2) == std::vector<Pair>{{0, 1}}));
    CHECK((pairings::Symmetric{}(2, 2) == std::vector<Pair>{{0, 1}, {1, 0}}));
    CHECK(pairings::AllPairs{}(3, 3).size() == 6);
    CHECK((pairings::EachPairOnce{}(3, 3) == std::vector<Pair>{{0, 1}, {0, 2}, {1, 2}}));
    for (const bool symmetric : {false, true})
        CHECK((pairings::Directions{.symmetric = symmetric}(2, 2) ==
               (symmetric ? pairings::Symmetric{}(2, 2) : pairings::OneSided{}(2, 2))));
    const auto terms = pairings::GlobalToAll{}(10, 2);
    CHECK(terms.size() == 2 * (10 - 1));
    for (const auto& pair : terms) {
        CHECK(pair.online != pair.target);
        CHECK(pair.target < 2);
    }
}

TEST_CASE("terms of two directions are added, those of many pairs averaged") {
    using pairings::Reduce;
    CHECK(pairings::OneSided{}.reduce == Reduce::sum);
    CHECK(pairings::Symmetric{}.reduce == Reduce::sum);
    CHECK(pairings::Directions{}.reduce == Reduce::sum);
    CHECK(pairings::EachPairOnce{}.reduce == Reduce::mean);
    CHECK(pairings::AllPairs{}.reduce == Reduce::mean);
    CHECK(pairings::GlobalToAll{}.reduce == Reduce::mean);
}
