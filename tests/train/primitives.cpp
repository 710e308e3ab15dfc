// SPDX-License-Identifier: Apache-2.0
#include <doppel/augment/normalize.hpp>
#include <doppel/train/primitives.hpp>

#include "support/torch_support.hpp"

#include <limits>

using namespace doppel;
using namespace doppel::test;

TEST_CASE("channels_last changes the memory format of convolutions, and neither values nor names") {
    torch::nn::Sequential net(torch::nn::Conv2d(3, 4, 3), torch::nn::Linear(4, 2));
    const Tensor before = net->parameters()[0].clone();
    train::channels_last(*net);
    CHECK(net->parameters()[0].is_contiguous(at::MemoryFormat::ChannelsLast));
    CHECK(bit_equal(net->parameters()[0], before));
    CHECK(net->parameters()[0].requires_grad());
    CHECK(net->named_parameters().contains("0.weight"));
}

TEST_CASE("to_device gives the batch in the memory format that is asked for") {
    const Batch batch = batch_of(4);
    for (const bool last : {false, true}) {
        const Batch moved = train::to_device(batch, at::kCPU, last);
        CHECK(moved.views[0].is_contiguous(last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous));
        CHECK(bit_equal(moved.views[0], batch.views[0]));
        CHECK(bit_equal(moved.index, batch.index));
    }
    Batch unlabeled = batch;
    unlabeled.label = Tensor();
    CHECK(!train::to_device(unlabeled, at::kCPU).label.defined());
}

TEST_CASE("to_device normalizes 8-bit views, each by its own mean and deviation, in either memory format") {
    Batch batch = batch_of(2);
    Tensor bytes = at::arange(2 * 3 * 5 * 7, at::kLong).mul(37).remainder(256).to(at::kByte).view({2, 3, 5, 7});
    batch.views = {bytes, bytes};
    batch.normalize = {{.mean = {0.1, 0.2, 0.3}, .std = {1, 0.5, 2}}, augment::imagenet_normalize};
    for (const bool last : {false, true}) {
        const Batch moved = train::to_device(batch, at::kCPU, last);
        for (std::size_t v = 0; v < 2; ++v) {
            CHECK(moved.views[v].is_contiguous(last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous));
            const auto channels = [](const auto& each) {
                return at::tensor({each[0], each[1], each[2]}, at::kDouble).view({1, 3, 1, 1});
            };
            const Tensor expected = (bytes.to(at::kDouble) / 255 - channels(batch.normalize[v].mean)) / channels(batch.normalize[v].std);
            CHECK(at::allclose(moved.views[v].to(at::kDouble), expected, 0, 1e-6));
        }
    }
    batch.normalize.resize(1);
    says([&] { train::to_device(batch, at::kCPU); }, {"to_device", "view 1", "8 bits", "normalize"});
}

TEST_CASE("all_finite looks at the loss and at every gradient") {
    const Tensor used = at::ones({3}).set_requires_grad(true), unused = at::ones({3}).set_requires_grad(true);
    const optim::Groups groups{{.parameters = {{"used", used}, {"unused", unused}}}};
    CHECK(train::all_finite(at::ones({}), groups));
    used.mutable_grad() = at::full({3}, std::numeric_limits<float>::max());
    CHECK(train::all_finite(at::ones({}), groups));
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        CHECK(!train::all_finite(at::full({}, bad), groups));
        used.mutable_grad() = at::ones({3});
        used.mutable_grad()[1] = bad;
        CHECK(!train::all_finite(at::ones({}), groups));
        used.mutable_grad() = at::ones({3});
    }
}
