// SPDX-License-Identifier: Apache-2.0
#include <doppel/heads/linear.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;
using heads::Linear;

TEST_CASE("a Linear head is one layer, with a bias unless told otherwise") {
    auto built = Linear{.out = 3}.build(5);
    CHECK(built.out == 3);
    const Tensor x = wave({2, 5}, 0.61, 0, at::kFloat);
    CHECK(largest_difference(built.module->forward(x), x.mm(built.module->weight.t()) + built.module->bias) < 1e-6);
    CHECK(!Linear{.out = 3, .bias = false}.build(5).module->bias.defined());
    says([] { Linear{.out = 0}.build(8); }, {"Linear", "out", "at least 1", "0"});
}
