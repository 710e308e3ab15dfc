// SPDX-License-Identifier: Apache-2.0
#include <doppel/train/verdict.hpp>

#include "support/torch_support.hpp"

#include <cmath>
#include <limits>

using namespace doppel;

TEST_CASE("not_finite sees infinities and what is not a number, in the loss and in each gradient") {
    const Tensor w = at::ones({3}).requires_grad_(true), v = at::ones({2, 2}).requires_grad_(true);
    const optim::Groups groups{{.parameters = {{"w", w}, {"v", v}}}};
    const auto verdict = [&](const Tensor& loss) { return train::not_finite(loss, groups).item<float>(); };
    CHECK(verdict(at::scalar_tensor(3.0)) == 0);  // no gradient yet
    w.mutable_grad() = at::full({3}, 3e38f);      // their sum is beyond float32
    v.mutable_grad() = at::full({2, 2}, 3e38f);
    CHECK(verdict(at::scalar_tensor(3.0)) == 0);
    CHECK(verdict(at::scalar_tensor(std::numeric_limits<float>::infinity())) == 1);
    CHECK(verdict(at::scalar_tensor(std::nan(""))) == 1);
    v.mutable_grad()[1][0] = -std::numeric_limits<float>::infinity();
    CHECK(verdict(at::scalar_tensor(3.0)) == 1);
    v.mutable_grad()[1][0] = std::numeric_limits<float>::quiet_NaN();
    CHECK(verdict(at::scalar_tensor(3.0)) == 1);
}
