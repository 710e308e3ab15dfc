// SPDX-License-Identifier: Apache-2.0
#include <doppel/schedules/cosine.hpp>

#include "support/schedules.hpp"

using namespace doppel;
using namespace doppel::schedules;
using namespace doppel::test;

TEST_CASE("Cosine meets both ends exactly, and BYOL's table between") {
    const Cosine rate{.from = 0.996, .to = 1};
    // 1 - 0.004 (1 + cos(pi t / 8)) / 2
    const double table[] = {0.996, 0.9961522409349774, 0.9965857864376269, 0.9972346331352698, 0.998,
                            0.9987653668647302, 0.9994142135623731, 0.9998477590650226, 1};
    for (int t = 0; t <= 8; ++t) CHECK(rate(at(t, 8)) == Approx(table[t]).epsilon(1e-14));
    CHECK(rate(at(0, 8)) == 0.996);
    CHECK(rate(at(8, 8)) == 1);
    CHECK(rate(at(100, 8)) == 1);
    CHECK(Cosine{.from = 0.1, .to = 0.7}(at(3, 3)) == 0.7);
    CHECK(Cosine{.from = 0.1, .to = 0.7}(at(0, 3)) == 0.1);
}

TEST_CASE("Cosine says that the length of the run is missing") {
    says([] { Cosine{}(at(0, 0)); }, {"Cosine", "length of the run", "0"});
}
