// SPDX-License-Identifier: Apache-2.0
// The valid range of a numeric option.
#pragma once

#include <cmath>
#include <limits>
#include <sstream>
#include <string>

namespace doppel::options {

namespace detail {
/// A number as a person would type it: 0.1, 1e-06, 65536.
inline std::string number_text(double value) {
    std::ostringstream text;
    text.precision(12);
    text << value;
    return text.str();
}
}  // namespace detail

/// An interval: closed, or without its lower end.
struct Range {
    double min = -std::numeric_limits<double>::infinity();
    double max = std::numeric_limits<double>::infinity();
    bool open = false;  ///< the minimum itself is not allowed

    bool contains(double value) const {
        return std::isfinite(value) && value >= min && value <= max && !(open && value == min);
    }

    /// "0 to 1", "above 0", "at least 1"; empty where every number is allowed.
    std::string text() const {
        const bool low = std::isfinite(min), high = std::isfinite(max);
        const auto number = detail::number_text;
        if (low && high && !open) return number(min) + " to " + number(max);
        std::string text = low ? (open ? "above " : "at least ") + number(min) : "";
        if (high) text += (low ? " and at most " : "at most ") + number(max);
        return text;
    }
};

constexpr Range at_least(double min) { return {.min = min}; }
constexpr Range between(double min, double max) { return {.min = min, .max = max}; }
/// From `min`, which is not allowed itself, to `max`.
constexpr Range above(double min, double max = std::numeric_limits<double>::infinity()) {
    return {.min = min, .max = max, .open = true};
}
inline constexpr Range fraction = between(0, 1);
/// Widths of layers.
inline constexpr Range width = between(1, 1 << 20);

}  // namespace doppel::options
