// SPDX-License-Identifier: Apache-2.0
#include <doppel/encoders/resnet.hpp>
#include <doppel/eval/unchanged.hpp>
#include <doppel/eval/working_copy.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("a module trained in a scope is afterwards what it was: tensors, gradients, modes and counts") {
    auto net = encoders::ResNet{.depth = 18, .stem = Stem::cifar, .width = 0.125}.build();
    net->parameters()[0].set_requires_grad(false);
    net->forward(at::randn({4, 3, 8, 8})).sum().backward();
    net->eval();
    net->children()[1]->train();
    const auto data = net->parameters()[1].data_ptr();
    const Tensor gradient = net->parameters()[1].grad();
    const auto passes = dynamic_cast<SplitsBatch&>(*net->children()[1]).passes;
    const eval::Unchanged before(*net);
    Tensor trained;
    {
        const eval::WorkingCopy scope(*net);
        CHECK(message_of([&] { before.require_same("copy"); }) == "");  // it begins with the same values
        net->train();
        net->forward(at::randn({4, 3, 8, 8})).sum().backward();
        const at::NoGradGuard no_grad;
        for (const Tensor& parameter : net->parameters()) {
            CHECK(parameter.requires_grad());
            Tensor(parameter).add_(parameter.grad());
        }
        trained = net->parameters()[1].detach();
        CHECK(mentions(message_of([&] { before.require_same("copy"); }), {"have changed", "…"}));
        CHECK(dynamic_cast<SplitsBatch&>(*net->children()[1]).passes == passes + 1);
    }
    before.require_same("copy");
    CHECK(net->parameters()[1].data_ptr() == data);
    CHECK(bit_equal(net->parameters()[1].grad(), gradient));
    CHECK(largest_difference(trained, net->parameters()[1].detach()) > 0);  // what was taken out in the scope stays
    CHECK(!net->parameters()[0].requires_grad());
    CHECK(net->parameters()[1].requires_grad());
    CHECK(!net->is_training());
    CHECK(net->children()[1]->is_training());
    CHECK(!net->children()[2]->is_training());
    CHECK(dynamic_cast<SplitsBatch&>(*net->children()[1]).passes == passes);
}
