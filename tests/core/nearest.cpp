// SPDX-License-Identifier: Apache-2.0
#include <doppel/core/nearest.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("nearest_rows finds the row of the largest cosine, and carries no gradient") {
    const Tensor memory = wave({7, 4}, 0.7, 0, at::kFloat), unit = memory / memory.norm(2, 1, true);
    const Tensor keys = (wave({5, 4}, 1.3, 2, at::kFloat) * 50).requires_grad_();
    const Tensor found = nearest_rows(unit, keys);
    CHECK_FALSE(found.requires_grad());
    for (std::int64_t i = 0; i < 5; ++i) {
        std::int64_t best = 0;
        double highest = -2;
        for (std::int64_t j = 0; j < 7; ++j) {
            const double cosine = at::cosine_similarity(keys[i], memory[j], 0).item<double>();
            if (cosine > highest) highest = cosine, best = j;
        }
        CHECK(bit_equal(found[i], unit[best]));
    }
}
