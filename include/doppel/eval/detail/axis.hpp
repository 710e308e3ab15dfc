// SPDX-License-Identifier: Apache-2.0
// The axis of a chart: range, round ticks, and positions of values.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace doppel::eval::detail {

/// A chart axis. A logarithmic one shows only values above zero.
class Axis {
public:
    explicit Axis(bool logarithmic) : logarithmic_(logarithmic) {}

    bool shows(double value) const { return std::isfinite(value) && (!logarithmic_ || value > 0); }

    void include(double value) {
        low_ = std::min(low_, inner(value));
        high_ = std::max(high_, inner(value));
    }

    /// Finishes the range after the last include(): widens an empty range, and, if `rounded`, extends to round ends.
    void close(bool rounded, int wanted) {
        if (low_ > high_) low_ = 0, high_ = 1;
        if (high_ - low_ < 1e-12 * std::max({std::abs(low_), std::abs(high_), 1e-280})) {
            const double margin = logarithmic_ ? 0.5 : low_ == 0 ? 1 : std::abs(low_) * 0.1;
            low_ -= margin, high_ += margin;
        }
        const double range = high_ - low_, size = std::pow(10, std::floor(std::log10(range / wanted)));
        for (const double factor : {1.0, 2.0, 5.0, 10.0})
            if (step_ = factor * size; range / step_ <= wanted) break;
        if (logarithmic_) step_ = std::max(1.0, std::round(step_));
        if (!rounded) return;
        low_ = std::floor(low_ / step_ + 1e-9) * step_;
        high_ = std::ceil(high_ / step_ - 1e-9) * step_;
    }

    /// Returns the position of a value: 0 at the low end, 1 at the high end.
    double place(double value) const { return (inner(value) - low_) / (high_ - low_); }

    bool logarithmic() const { return logarithmic_; }
    /// The ends of the range; of a logarithmic axis, their decimal logarithms.
    double low() const { return low_; }
    double high() const { return high_; }

    /// Returns round values inside the range; on a short logarithmic axis 1, 2 and 5 times powers of ten.
    std::vector<double> ticks() const {
        std::vector<double> values;
        const double slack = 1e-9 * (high_ - low_);
        for (double at = std::ceil(low_ / step_ - 1e-9), last = high_ / step_ + 1e-9; at <= last && values.size() < 50;
             ++at) {
            if (!logarithmic_) {
                values.push_back(at * step_);
                continue;
            }
            for (const double factor : {1.0, 2.0, 5.0})
                if (const double inner = at * step_ + std::log10(factor);
                    inner <= high_ + slack && (factor == 1 || high_ - low_ < 2))
                    values.push_back(std::pow(10, inner));
        }
        return values;
    }

private:
    double inner(double value) const { return logarithmic_ ? std::log10(value) : value; }

    bool logarithmic_;
    double low_ = std::numeric_limits<double>::infinity(), high_ = -std::numeric_limits<double>::infinity(), step_ = 1;
};

}  // namespace doppel::eval::detail
