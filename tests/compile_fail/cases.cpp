// SPDX-License-Identifier: Apache-2.0
// Wrong compositions and wrong uses. A line "// expect: TEXT" begins a case, which ends before the next such line: a
// function of its own whose first error line holds TEXT. What stands above the first case must compile. All cases are
// compiled at once, so a template that an earlier case instantiated with the same arguments gives no second error
// (a lambda has a type of its own).
#include <doppel/encoders/custom.hpp>
#include <doppel/encoders/vit.hpp>
#include <doppel/heads/mlp.hpp>
#include <doppel/losses/barlow_twins.hpp>
#include <doppel/losses/weighted_sum.hpp>
#include <doppel/queues/fifo.hpp>
#include <doppel/recipe/any_method.hpp>
#include <doppel/recipe/method.hpp>
#include <doppel/targets/ema.hpp>
#include <doppel/train/train.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

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
    void update(const std::vector<Tensor>&, const std::vector<Tensor>&, const TrainingStep&) {}
};
template <class R>
struct PresetOf {
    R recipe;
};

const auto net = tiny();
const losses::BarlowTwins loss{};

void right() {
    Method a{Recipe{.encoder = net, .loss = loss}};
    Method b{Recipe{.encoder = net, .queue = queues::Fifo{}, .loss = MemoryLoss{}}};
    Method c{Recipe{.encoder = encoders::Vit{}, .target = targets::Ema{}, .loss = MaskingLoss{}}};
    Method d{PresetOf{Recipe{.encoder = encoders::custom([] { return torch::nn::Linear(2, 2); }), .loss = loss}}, {.seed = 1}};
}

struct NoHook {};
struct Misspelled {
    void on_step(train::Trainer&, const train::StepReport&) {}
    void end(train::Trainer&, train::TrainResult&) {}
};

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

// expect: Recipe.loss masks patches: Recipe.encoder needs with_patches(images, mask)
void case_14() {
    Method m{Recipe{.encoder = net, .target = targets::Ema{}, .loss = MaskingLoss{}}};
}

// expect: Recipe.loss masks patches: Recipe.target must be targets::Ema
void case_15() {
    Method m{Recipe{.encoder = encoders::Vit{}, .loss = MaskingLoss{}}};
}

// expect: two parts of a Sum mask patches
void case_16() {
    losses::Sum s{losses::Weighted{1.0, MaskingLoss{}}, losses::Weighted{1.0, MaskingLoss{}}};
}

// expect: each part of a Sum must be callable as loss(Outputs)
void case_17() {
    losses::Sum s{losses::Weighted{1.0, loss}};
}

// expect: encoders::custom([]
void case_18() {
    Method m{Recipe{.encoder = torch::nn::Sequential(torch::nn::Flatten()), .loss = loss}};
}

// expect: or a policy with either output(Tensor online)
void case_19() {
    Method m{Recipe{.encoder = net, .target = TargetOfBothKinds{}, .loss = loss}};
}

// expect: Recipe.loss: commit must be callable as commit(const Outputs&)
void case_20() {
    Method m{Recipe{.encoder = net, .loss = WrongCommit{}}};
}

// expect: Recipe.loss: metrics() must be const
void case_21() {
    Method m{Recipe{.encoder = net, .loss = WrongMetrics{}}};
}

// expect: Recipe.loss: its Pairing must be callable
void case_22() {
    Method m{Recipe{.encoder = net, .loss = WrongPairing{}}};
}

// expect: Recipe.loss: build must be callable as build(int64_t dim)
void case_23() {
    Method m{Recipe{.encoder = net, .loss = WrongBuild{}}};
}

// expect: Recipe.loss: mask must be const
void case_24() {
    Method m{Recipe{.encoder = net, .loss = WrongMask{}}};
}

// expect: Method takes a Recipe{...} or a preset that holds one
void case_25() {
    Method m{NotASpec{}, {.seed = 1}};
}

// expect: AnyRecipe::build({.seed = 1}) gives the method
void case_26() {
    Method m{PresetOf{AnyRecipe(Recipe{.encoder = net, .loss = loss})}};
}

// expect: Recipe.loss is missing
void case_27() {
    Method m{PresetOf{Recipe{.encoder = [] { return TinyNet(8); }}}, {.seed = 1}};
}

// expect: encoders::custom got a built module
void case_28() {
    const auto spec = encoders::custom(torch::nn::Sequential(torch::nn::Flatten()));
}

// expect: encoders::custom takes a callable without arguments
void case_29() {
    const auto spec = encoders::custom([] { return 3; }, 256);
}

// expect: AnySchedule
void case_30() {
    [[maybe_unused]] const targets::Ema ema{.schedule = "slow"};
}

// expect: Recipe.loss is missing
void case_31() {
    AnyMethod m = Method{Recipe{.encoder = [] { return TinyNet(8); }}, {.seed = 1}};
}

// expect: a training callback needs at least one of the hooks begin(Trainer&), step(Trainer&, const StepReport&)
void case_32(train::Trainer& trainer) {
    train::run(trainer, NoHook{});
}

// expect: a training callback needs at least one of the hooks begin(Trainer&), step(Trainer&, const StepReport&)
void case_33(train::Trainer& trainer) {
    train::run(trainer, Misspelled{});
}

// expect: the training images must be a data set (data::ImageSource)
void case_34(const AnyPreset& preset) {
    train::Trainer trainer(preset, std::vector<Image>{});
}

// expect: the first argument must be a Preset
void case_35(const data::Dataset& images) {
    train::train(AnyMethod{}, images);
}

// expect: an augmentation operation must be callable as operation(Image&, random::Stream&) const
void case_36(views::Views& views) {
    views.insert_after<augment::ColorJitter>(NotASpec{});
}

// expect: an optimizer's options need a member lr and build(NamedParameters)
void case_37(AnyPreset& preset) {
    preset.optimizer = NotASpec{};
}
