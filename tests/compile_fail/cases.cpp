// SPDX-License-Identifier: Apache-2.0
// Wrong compositions and wrong uses, one a case. The n-th line with "expect:" says what case n's first error line holds.
#include <doppel/encoders/custom.hpp>
#include <doppel/encoders/vit.hpp>
#include <doppel/heads/mlp.hpp>
#include <doppel/losses/barlow_twins.hpp>
#include <doppel/losses/weighted_sum.hpp>
#include <doppel/queues/fifo.hpp>
#include <doppel/recipe/any_method.hpp>
#include <doppel/recipe/method.hpp>
#include <doppel/targets/ema.hpp>

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

struct MaskingLoss {
    std::vector<bool> mask(std::int64_t, std::int64_t, random::Stream) const { return {}; }
    Tensor operator()(const Outputs& out) const { return out.online[0].sum(); }
};

/// A loss that is right but for what it has besides.
struct PlainLoss {
    Tensor operator()(const Tensor& online, const Tensor& target) const { return (online * target).sum(); }
};
struct WrongCommit : PlainLoss {
    void commit(const Tensor&) {}
};
struct WrongMetrics : PlainLoss {
    std::vector<std::pair<std::string, Tensor>> metrics() { return {}; }
};
struct WrongPairing : PlainLoss {
    using Pairing = NotASpec;
};
struct WrongBuild : PlainLoss {
    void build() {}
};
struct WrongMask {
    std::vector<bool> mask(std::int64_t, std::int64_t) const { return {}; }
    Tensor operator()(const Outputs& out) const { return out.online[0].sum(); }
};
struct TargetOfBothKinds {
    Tensor output(const Tensor& online) const { return online; }
    void update(const std::vector<Tensor>&, const std::vector<Tensor>&, const Progress&) {}
};
template <class R>
struct PresetOf {
    R recipe;
};

void compose() {
    [[maybe_unused]] const auto net = tiny();
    [[maybe_unused]] const losses::BarlowTwins loss{};
#if CASE == 0
    Method a{Recipe{.encoder = net, .loss = loss}};
    Method b{Recipe{.encoder = net, .queue = queues::Fifo{}, .loss = MemoryLoss{}}};
    Method c{Recipe{.encoder = encoders::Vit{}, .target = targets::Ema{}, .loss = MaskingLoss{}}};
    Method d{PresetOf{Recipe{.encoder = encoders::custom([] { return torch::nn::Linear(2, 2); }), .loss = loss}}, {.seed = 1}};
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
    Method m{Recipe{.encoder = net, .target = targets::Ema{}, .loss = MaskingLoss{}}};  // expect: Recipe.loss masks patches: Recipe.encoder needs with_patches(images, mask)
#elif CASE == 15
    Method m{Recipe{.encoder = encoders::Vit{}, .loss = MaskingLoss{}}};  // expect: Recipe.loss masks patches: Recipe.target must be targets::Ema
#elif CASE == 16
    losses::Sum s{losses::Weighted{1.0, MaskingLoss{}}, losses::Weighted{1.0, MaskingLoss{}}};  // expect: two parts of a Sum mask patches
#elif CASE == 17
    losses::Sum s{losses::Weighted{1.0, loss}};  // expect: each part of a Sum must be callable as loss(Outputs)
#elif CASE == 18
    Method m{Recipe{.encoder = torch::nn::Sequential(torch::nn::Flatten()), .loss = loss}};  // expect: encoders::custom([]
#elif CASE == 19
    Method m{Recipe{.encoder = net, .target = TargetOfBothKinds{}, .loss = loss}};  // expect: or a policy with either output(Tensor online)
#elif CASE == 20
    Method m{Recipe{.encoder = net, .loss = WrongCommit{}}};  // expect: Recipe.loss: commit must be callable as commit(const Outputs&)
#elif CASE == 21
    Method m{Recipe{.encoder = net, .loss = WrongMetrics{}}};  // expect: Recipe.loss: metrics() must be const
#elif CASE == 22
    Method m{Recipe{.encoder = net, .loss = WrongPairing{}}};  // expect: Recipe.loss: its Pairing must be callable
#elif CASE == 23
    Method m{Recipe{.encoder = net, .loss = WrongBuild{}}};  // expect: Recipe.loss: build must be callable as build(int64_t dim)
#elif CASE == 24
    Method m{Recipe{.encoder = net, .loss = WrongMask{}}};  // expect: Recipe.loss: mask must be const
#elif CASE == 25
    Method m{NotASpec{}, {.seed = 1}};  // expect: Method takes a Recipe{...} or a preset that holds one
#elif CASE == 26
    Method m{PresetOf{AnyRecipe(Recipe{.encoder = net, .loss = loss})}};  // expect: AnyRecipe::build({.seed = 1}) gives the method
#elif CASE == 27
    Method m{PresetOf{Recipe{.encoder = net}}, {.seed = 1}};  // expect: Recipe.loss is missing
#elif CASE == 28
    const auto spec = encoders::custom(torch::nn::Sequential(torch::nn::Flatten()));  // expect: encoders::custom got a built module
#elif CASE == 29
    const auto spec = encoders::custom([] { return 3; }, 256);  // expect: encoders::custom takes a callable without arguments
#elif CASE == 30
    [[maybe_unused]] const targets::Ema ema{.schedule = "slow"};  // expect: AnySchedule
#elif CASE == 31
    AnyMethod m = Method{Recipe{.encoder = net}, {.seed = 1}};  // expect: Recipe.loss is missing
#endif
}
