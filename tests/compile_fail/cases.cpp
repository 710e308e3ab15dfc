// SPDX-License-Identifier: Apache-2.0
// Wrong compositions and wrong uses. A line "// expect: TEXT" begins a case, which ends before the next such line: a
// function of its own whose first error line holds TEXT. What stands above the first case must compile. All cases are
// compiled at once, so a template that an earlier case instantiated with the same arguments gives no second error
// (a lambda has a type of its own).
#include <doppel/encoders/vit.hpp>
#include <doppel/losses/nt_xent.hpp>
#include <doppel/losses/weighted_sum.hpp>
#include <doppel/recipe/method.hpp>
#include <doppel/queues/fifo.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

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

const auto net = tiny();
const losses::NtXent loss{};

void right() {
    Method a{Recipe{.encoder = net, .loss = loss}};
    Method b{Recipe{.encoder = net, .queue = queues::Fifo{}, .loss = MemoryLoss{}}};
    Method c{Recipe{.encoder = encoders::Vit{}, .target = targets::Ema{}, .loss = HidingLoss{}}};
}

// expect: Recipe.encoder is missing
void case_1() {
    Method m{Recipe{.projector = heads::Mlp{}, .loss = loss}};
}

// expect: Recipe.loss is missing
void case_2() {
    Method m{Recipe{.encoder = net}};
}

// expect: Recipe.encoder needs build(), or must be a callable without arguments
void case_3() {
    Method m{Recipe{.encoder = NotASpec{}, .loss = loss}};
}

// expect: Recipe.encoder holds a built module; slots hold specs
void case_4() {
    Method m{Recipe{.encoder = TinyNet(8), .loss = loss}};
}

// expect: feature_dim()
void case_5() {
    Method m{Recipe{.encoder = [] { return torch::nn::Linear(2, 2); }, .loss = loss}};
}

// expect: Recipe.projector needs build(int64_t in)
void case_6() {
    Method m{Recipe{.encoder = net, .projector = NotASpec{}, .loss = loss}};
}

// expect: Recipe.predictor holds a built module
void case_7() {
    Method m{Recipe{.encoder = net, .predictor = torch::nn::Linear(2, 2), .loss = loss}};
}

// expect: Recipe.target must be targets::Shared, targets::StopGradient or targets::Ema
void case_8() {
    Method m{Recipe{.encoder = net, .target = 0.99, .loss = loss}};
}

// expect: Recipe.queue is filled, but Recipe.loss never reads it
void case_9() {
    Method m{Recipe{.encoder = net, .queue = queues::Fifo{}, .loss = loss}};
}

// expect: Recipe.loss reads a queue, but Recipe.queue is left out
void case_10() {
    Method m{Recipe{.encoder = net, .loss = MemoryLoss{}}};
}

// expect: Recipe.loss must be callable as loss(online, target)
void case_11() {
    Method m{Recipe{.encoder = net, .loss = NotASpec{}}};
}

// expect: Recipe.queue needs build(int64_t dim)
void case_12() {
    Method m{Recipe{.encoder = net, .queue = NotASpec{}, .loss = MemoryLoss{}}};
}

// expect: Recipe.pairing must be callable as pairing(views, globals)
void case_13() {
    Method m{Recipe{.encoder = net, .pairing = NotASpec{}, .loss = loss}};
}

// expect: Recipe.loss hides patches: Recipe.encoder needs with_patches(images, mask)
void case_14() {
    Method m{Recipe{.encoder = net, .target = targets::Ema{}, .loss = HidingLoss{}}};
}

// expect: Recipe.loss hides patches: Recipe.target must be targets::Ema
void case_15() {
    Method m{Recipe{.encoder = encoders::Vit{}, .loss = HidingLoss{}}};
}

// expect: two parts of a Sum hide patches
void case_16() {
    losses::Sum s{losses::Weighted{1.0, HidingLoss{}}, losses::Weighted{1.0, HidingLoss{}}};
}

// expect: each part of a Sum must be callable as loss(Outputs)
void case_17() {
    losses::Sum s{losses::Weighted{1.0, loss}};
}
