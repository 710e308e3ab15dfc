// SPDX-License-Identifier: Apache-2.0
#include <doppel/targets/stop_gradient.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("a StopGradient target has the online branch's values, and no gradient") {
    const Tensor z = wave({2, 3}).set_requires_grad(true);
    const Tensor target = targets::StopGradient{}.output(z);
    CHECK(bit_equal(target, z));
    CHECK(!target.requires_grad());
}
