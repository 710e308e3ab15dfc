// SPDX-License-Identifier: Apache-2.0
#include <doppel/recipe/detail/branch.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {
using Branch = doppel::detail::Branch<decltype(tiny()), heads::Mlp>;
Branch branch() { return Branch(tiny(), heads::Mlp{.hidden = {4}, .out = 3}); }
}  // namespace

TEST_CASE("m = 0 copies the online weights, m = 1 leaves the target as it is") {  // pitfall 7
    auto online = branch(), target = branch();
    target.copy_from(branch());
    const Tensor before = target.encoder->conv->weight.detach().clone();
    target.follow(online, 1);
    CHECK(bit_equal(target.encoder->conv->weight, before));
    target.follow(online, 0);
    CHECK(bit_equal(target.encoder->conv->weight, online.encoder->conv->weight));
    for (std::size_t i = 0; i < online.projector->parameters().size(); ++i)
        CHECK(bit_equal(target.projector->parameters()[i], online.projector->parameters()[i]));
}

TEST_CASE("an Ema never touches buffers") {
    auto online = branch(), target = branch();
    online.encoder->bn->running_mean.fill_(7);
    target.follow(online, 0.5);
    CHECK(target.encoder->bn->running_mean.abs().max().item<double>() == 0);
}

TEST_CASE("a thousand tiny updates stay close to float64") {  // pitfall 8: half types would stop moving
    auto online = branch(), target = branch();
    const at::NoGradGuard no_grad;
    for (auto& p : online.encoder->parameters()) p.fill_(1);
    for (auto& p : target.encoder->parameters()) p.fill_(0);
    double exact = 0;
    for (int i = 0; i < 1000; ++i) {
        target.follow(online, 0.999);
        exact = 0.999 * exact + 0.001;
    }
    CHECK(target.encoder->conv->weight.mean().item<double>() == Approx(exact).epsilon(1e-4));
}
