// SPDX-License-Identifier: Apache-2.0
#include <doppel/eval/gain.hpp>

#include "support/torch_support.hpp"

#include <array>
#include <cmath>
#include <vector>

using namespace doppel;
using namespace doppel::test;

TEST_CASE("the interval of a gain is that of Newcombe's examples") {
    // Table II of the paper, method 10: right, of, right, of, low, high.
    const std::vector<std::array<double, 6>> examples{{56, 70, 48, 80, 0.0524, 0.3339}, {9, 10, 3, 10, 0.1705, 0.8090},
                                                      {6, 7, 2, 7, 0.0582, 0.8062},     {5, 56, 0, 29, -0.0381, 0.1926},
                                                      {0, 10, 0, 20, -0.1611, 0.2775},  {10, 10, 0, 20, 0.6791, 1.0}};
    for (const auto& [right, of, other, other_of, low, high] : examples) {
        INFO(right << " of " << of << ", " << other << " of " << other_of);
        const auto n = [](double value) { return static_cast<std::int64_t>(value); };
        const auto gain = eval::gain_of(n(right), n(of), n(other), n(other_of));
        CHECK(gain.value == Approx(right / of - other / other_of));
        CHECK(std::abs(gain.low - low) < 6e-5);
        CHECK(std::abs(gain.high - high) < 6e-5);
    }
}

TEST_CASE("a gain is what the other loses, and without cases nothing is known") {
    const auto one = eval::gain_of(40, 100, 70, 90), other = eval::gain_of(70, 90, 40, 100);
    CHECK(one.value == Approx(-other.value));
    CHECK(one.low == Approx(-other.high));
    const auto none = eval::gain_of(0, 0, 3, 5);
    CHECK(none.low == -1);
    CHECK(none.high == 1);
    CHECK(mentions(message_of([] { eval::gain_of(6, 5, 1, 5); }), {"wilson", "6 of 5"}));
}
