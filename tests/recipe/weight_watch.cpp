// SPDX-License-Identifier: Apache-2.0
#include <doppel/recipe/weight_watch.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("a WeightWatch sees changes in place, and those of torch's optimizers, of trained weights alone") {
    const Tensor weight = at::ones({4, 4}).set_requires_grad(true), buffer = at::ones({4});
    doppel::detail::WeightWatch watch;
    watch.add(weight);
    watch.add(buffer);
    watch.look();
    CHECK(!watch.moved());
    buffer.add_(1);
    CHECK(!watch.moved());
    weight.detach().add_(1);
    CHECK(watch.moved());
    watch.look();
    CHECK(!watch.moved());
    torch::optim::SGD optimizer({weight}, torch::optim::SGDOptions(0.1));
    (weight * 2).sum().backward();
    CHECK(!watch.moved());  // a gradient is no change
    optimizer.step();
    CHECK(watch.moved());
}
