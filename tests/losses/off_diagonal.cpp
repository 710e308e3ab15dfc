// SPDX-License-Identifier: Apache-2.0
#include <doppel/losses/detail/off_diagonal.hpp>

#include "support/losses.hpp"

using namespace doppel;
using namespace doppel::test;
using losses::detail::off_diagonal_squares;

TEST_CASE("elements off the diagonal count the same by small Gram matrices as in the large matrix") {
    for (const auto& shape :
         std::vector<std::vector<std::int64_t>>{{1, 1}, {4, 1}, {1, 4}, {4, 9}, {9, 4}, {5, 5}, {32, 200}})
        for (const bool alone : {false, true}) {
            INFO(shape[0] << " by " << shape[1]);
            const Tensor a = chirp(shape, 0.13, 0.9), b = alone ? a : chirp(shape, 0.29, 0.4);
            const Tensor exact = (a.t().mm(b) * (1 - at::eye(shape[1], at::kDouble))).square().sum();
            CHECK(number(off_diagonal_squares(a, b)) == Approx(number(exact)).epsilon(1e-11).margin(1e-11));
            const Tensor low = a.to(at::kFloat), other = alone ? low : b.to(at::kFloat);
            CHECK(number(off_diagonal_squares(low, other)) == Approx(number(exact)).epsilon(1e-5).margin(1e-5));
        }
}
