// SPDX-License-Identifier: Apache-2.0
// Wrong compositions, one a case. The n-th line with "expect:" says what case n's first error line holds.
#include <doppel/encoders/vit.hpp>
#include <doppel/losses/nt_xent.hpp>
#include <doppel/losses/weighted_sum.hpp>
#include <doppel/recipe/method.hpp>
#include <doppel/queues/fifo.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

#ifndef CASE
#define CASE 0
#endif

struct NotASpec {
    int depth = 18;
};
struct MemoryLoss {
    Tensor operator()(const Tensor& online, const Tensor& target, const Tensor& memory) const { return (online * target).sum() + memory.sum(); }
};

struct HidingLoss {
    std::vector<bool> mask(std::int64_t, std::int64_t, random::Stream) const { return {}; }
    Tensor operator()(const Outputs& out) const { return out.online[0].sum(); }
};

void compose() {
    [[maybe_unused]] const auto net = tiny();
    [[maybe_unused]] const losses::NtXent loss{};
#if CASE == 0
    Method a{Recipe{.encoder = net, .loss = loss}};
    Method b{Recipe{.encoder = net, .queue = queues::Fifo{}, .loss = MemoryLoss{}}};
    Method c{Recipe{.encoder = encoders::Vit{}, .target = targets::Ema{}, .loss = HidingLoss{}}};
#elif CASE == 1
    Method m{Recipe{.projector = heads::Mlp{}, .loss = loss}};  // expect: Recipe.encoder is missing
#elif CASE == 2
    Method m{Recipe{.encoder = net}};  // expect: Recipe.loss is missing
#elif CASE == 3
    Method m{Recipe{.encoder = NotASpec{}, .loss = loss}};  // expect: Recipe.encoder needs build(), or must be a callable without arguments
#elif CASE == 4
    Method m{Recipe{.encoder = TinyNet(8), .loss = loss}};  // expect: Recipe.encoder holds a built module; slots hold specs
#elif CASE == 5
    Method m{Recipe{.encoder = [] { return torch::nn::Linear(2, 2); }, .loss = loss}};  // expect: feature_dim()
#elif CASE == 6
    Method m{Recipe{.encoder = net, .projector = NotASpec{}, .loss = loss}};  // expect: Recipe.projector needs build(int64_t in)
#elif CASE == 7
    Method m{Recipe{.encoder = net, .predictor = torch::nn::Linear(2, 2), .loss = loss}};  // expect: Recipe.predictor holds a built module
#elif CASE == 8
    Method m{Recipe{.encoder = net, .target = 0.99, .loss = loss}};  // expect: Recipe.target must be targets::Shared, targets::StopGradient or targets::Ema
#elif CASE == 9
    Method m{Recipe{.encoder = net, .queue = queues::Fifo{}, .loss = loss}};  // expect: Recipe.queue is filled, but Recipe.loss never reads it
#elif CASE == 10
    Method m{Recipe{.encoder = net, .loss = MemoryLoss{}}};  // expect: Recipe.loss reads a queue, but Recipe.queue is left out
#elif CASE == 11
    Method m{Recipe{.encoder = net, .loss = NotASpec{}}};  // expect: Recipe.loss must be callable as loss(online, target)
#elif CASE == 12
    Method m{Recipe{.encoder = net, .queue = NotASpec{}, .loss = MemoryLoss{}}};  // expect: Recipe.queue needs build(int64_t dim)
#elif CASE == 13
    Method m{Recipe{.encoder = net, .pairing = NotASpec{}, .loss = loss}};  // expect: Recipe.pairing must be callable as pairing(views, globals)
#elif CASE == 14
    Method m{Recipe{.encoder = net, .target = targets::Ema{}, .loss = HidingLoss{}}};  // expect: Recipe.loss hides patches: Recipe.encoder needs with_patches(images, mask)
#elif CASE == 15
    Method m{Recipe{.encoder = encoders::Vit{}, .loss = HidingLoss{}}};  // expect: Recipe.loss hides patches: Recipe.target must be targets::Ema
#elif CASE == 16
    losses::Sum s{losses::Weighted{1.0, HidingLoss{}}, losses::Weighted{1.0, HidingLoss{}}};  // expect: two parts of a Sum mask patches
#elif CASE == 17
    losses::Sum s{losses::Weighted{1.0, loss}};  // expect: each part of a Sum must be callable as loss(Outputs)
#endif
}
