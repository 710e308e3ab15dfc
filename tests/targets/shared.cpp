// SPDX-License-Identifier: Apache-2.0
#include <doppel/targets/shared.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("a Shared target is the online branch's own output, with its gradient") {
    const Tensor z = at::ones({2, 3}).set_requires_grad(true);
    const Tensor target = targets::Shared{}.output(z);
    CHECK(target.is_same(z));
    CHECK(target.requires_grad());
}
