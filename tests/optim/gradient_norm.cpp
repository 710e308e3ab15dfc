// SPDX-License-Identifier: Apache-2.0
#include <doppel/optim/gradient_norm.hpp>

#include "support/torch_support.hpp"

using namespace doppel;

TEST_CASE("the norm is that of all gradients together, and parameters without one are named") {
    const Tensor a = at::ones({3}).requires_grad_(true), b = at::ones({2, 2}).requires_grad_(true), c = at::ones({5}).requires_grad_(true);
    const optim::Groups groups{{.parameters = {{"a", a}, {"c", c}}}, {.parameters = {{"b", b}}}};
    CHECK(optim::gradient_norm(groups).item<double>() == 0);
    CHECK(optim::without_gradient(groups) == std::vector<std::string>{"a", "c", "b"});
    (a * at::tensor({1.0, 2.0, 2.0})).sum().backward();
    (b * 2).sum().backward();
    const Tensor norm = optim::gradient_norm(groups);
    CHECK(norm.dim() == 0);
    CHECK(norm.item<double>() == Approx(5));  // 1 + 4 + 4 + 4·4 = 25
    CHECK(optim::without_gradient(groups) == std::vector<std::string>{"c"});
    CHECK(at::equal(a.grad(), at::tensor({1.0f, 2.0f, 2.0f})));
    CHECK_FALSE(c.grad().defined());
}
