// SPDX-License-Identifier: Apache-2.0
// Features with classes, and nearest neighbors found one pair at a time.
#pragma once

#include "support/torch_support.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

namespace doppel::test {

struct Points {
    Tensor rows, labels;
};

/// Rows of all lengths around one center a class.
inline Points clouds(std::int64_t count, std::int64_t dim, std::int64_t classes, unsigned seed, double spread = 1) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    std::vector<float> centers(static_cast<std::size_t>(classes * dim));
    std::mt19937 shared(7);
    for (auto& c : centers) c = normal(shared);
    Points points{at::empty({count, dim}), at::empty({count}, at::kLong)};
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t label = static_cast<std::int64_t>(random() % static_cast<unsigned>(classes));
        points.labels.data_ptr<std::int64_t>()[i] = label;
        const float length = 0.1f + 10 * std::abs(normal(random));
        for (std::int64_t d = 0; d < dim; ++d) {
            const float center = centers[static_cast<std::size_t>(label * dim + d)];
            points.rows.data_ptr<float>()[i * dim + d] = length * (center + static_cast<float>(spread) * normal(random));
        }
    }
    return points;
}

/// The features of tests/reference/make_knn_fixtures.py.
inline Points fixture_points(std::int64_t count, double phase) {
    const Tensor i = at::arange(count, at::kLong);
    const Tensor labels = (i * i + 3 * i).remainder(7) + (i.remainder(5) == 0).to(at::kLong) * 5;
    return {(chirp({12, 24}, 0.37, 0.5).index_select(0, labels) + 1.5 * chirp({count, 24}, 0.13, phase)).to(at::kFloat), labels};
}

/// The first `count` places of `values`, the largest first, of equal ones the earlier.
inline std::vector<std::size_t> largest_places(const std::vector<double>& values, std::size_t count) {
    std::vector<std::size_t> order(values.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return values[a] > values[b]; });
    order.resize(std::min(count, order.size()));
    return order;
}

/// Cosine of two rows in float64.
inline double cosine_of(const std::vector<double>& a, const std::vector<double>& b) {
    double dot = 0, aa = 0, bb = 0;
    for (std::size_t d = 0; d < a.size(); ++d) dot += a[d] * b[d], aa += a[d] * a[d], bb += b[d] * b[d];
    return dot / std::sqrt(aa * bb);
}

/// Distance of two rows in float64, times −1.
inline double nearness_of(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t d = 0; d < a.size(); ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
    return -std::sqrt(sum);
}

}  // namespace doppel::test
