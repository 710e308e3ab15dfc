// SPDX-License-Identifier: Apache-2.0
// Sinkhorn's assignments by definition, one number at a time.
#pragma once

#include "support/torch_support.hpp"

namespace doppel::test {

inline Rows sinkhorn_by_definition(const Rows& scores, double epsilon, int iterations) {
    const std::size_t rows = scores.size(), columns = scores[0].size();
    Rows q = scores;
    for (auto& row : q)
        for (double& x : row) x = std::exp(x / epsilon);
    for (int i = 0; i < iterations; ++i) {
        for (std::size_t k = 0; k < columns; ++k) {
            double sum = 0;
            for (const auto& row : q) sum += row[k];
            for (auto& row : q) row[k] /= sum * static_cast<double>(columns);
        }
        for (auto& row : q) {
            double sum = 0;
            for (const double x : row) sum += x;
            for (double& x : row) x /= sum * static_cast<double>(rows);
        }
    }
    for (auto& row : q)
        for (double& x : row) x *= static_cast<double>(rows);
    return q;
}

}  // namespace doppel::test
