// SPDX-License-Identifier: Apache-2.0
// By how much one classifier is better than another, with its confidence interval.
#pragma once

#include <doppel/eval/accuracy.hpp>

#include <cmath>
#include <cstdint>

namespace doppel::eval {

/// The difference of two shares, from −1 to 1.
struct Gain {
    double value = 0;          ///< how much the first share is larger
    double low = -1, high = 1; ///< of value: 95 %
};

/// Returns how much larger the share `right` of `of` is than the share `other_right` of `other_of`, with its 95 % confidence
/// interval: Newcombe's hybrid of the two Wilson intervals, which is right for few cases and for shares near 0 or 1. The cases
/// count as independent: of two classifiers on the same images, which tend to be right for the same ones, the interval is wider
/// than it would have to be. Without cases: −1 to 1. Throws Error as wilson() does.
/// Source: Newcombe, "Interval estimation for the difference between independent proportions", 1998, method 10.
///
///     auto [value, low, high] = eval::gain_of(56, 70, 48, 80);  // 0.2, 0.052 to 0.334
inline Gain gain_of(std::int64_t right, std::int64_t of, std::int64_t other_right, std::int64_t other_of) {
    const Interval mine = wilson(right, of), others = wilson(other_right, other_of);
    if (of == 0 || other_of == 0) return {};
    const double p = static_cast<double>(right) / static_cast<double>(of);
    const double q = static_cast<double>(other_right) / static_cast<double>(other_of);
    return {p - q, p - q - std::hypot(p - mine.low, others.high - q), p - q + std::hypot(mine.high - p, q - others.low)};
}

}  // namespace doppel::eval
