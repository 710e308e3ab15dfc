// SPDX-License-Identifier: Apache-2.0
#include <doppel/eval/unchanged.hpp>

#include "support/torch_support.hpp"

#include <limits>

using namespace doppel;
using namespace doppel::test;

TEST_CASE("any change of a parameter or a buffer is seen and named; none is not reported") {
    const at::NoGradGuard no_grad;
    TinyNet net(8);
    const auto says = [&](const std::function<void()>& change) {
        const eval::Unchanged before(*net);
        change();
        return message_of([&] { before.require_same("probe"); });
    };
    CHECK(says([] {}) == "");
    CHECK(says([&] { net->forward(at::zeros({2, 3, 8, 8})); }).find("bn.running_mean") != std::string::npos);
    net->eval();
    CHECK(says([&] { net->forward(at::ones({2, 3, 8, 8})); }) == "");
    CHECK(mentions(says([&] { net->conv->weight[7][2][2][2] += 1e-6; }),
                   {"probe", "1 parameters and buffers", "'conv.weight'", "evaluation mode"}));
    CHECK(mentions(says([&] { net->bn->num_batches_tracked += 1; }), {"'bn.num_batches_tracked'"}));
    CHECK(mentions(says([&] { net->conv->bias.copy_(net->conv->bias.flip(0)); }),
                   {"'conv.bias'"}));  // the same values elsewhere
    CHECK(mentions(says([&] {
                       for (auto& p : net->parameters()) p.add_(1);
                   }),
                   {"4 parameters and buffers", ", …"}));
    net->bn->running_var.fill_(std::numeric_limits<double>::quiet_NaN());
    CHECK(says([] {}) == "");  // not a number, but the same bits
    CHECK(says([&] { net->conv->weight.set_data(net->conv->weight.contiguous(at::MemoryFormat::ChannelsLast)); }) ==
          "");
    CHECK(mentions(says([&] { net->register_buffer("more", at::zeros({1})); }), {"had 7", "has 8"}));
}
