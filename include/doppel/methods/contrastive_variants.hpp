// SPDX-License-Identifier: Apache-2.0
// SimCLR with a slot or two changed: DCL, DCLW, NNCLR, ReSSL, SupCon, SimCLR v2, DirectCLR.
//
// Each preset is methods::simclr's with another recipe, trained alike, so that runs compare the slot and nothing else.
// Differs: the papers train with optimizers and schedules of their own (NNCLR, SimCLR v2 and DirectCLR: LARS,
// batches of 4096).
#pragma once

#include <doppel/views/ressl.hpp>
#include <doppel/options/range.hpp>
#include <doppel/losses/dcl.hpp>
#include <doppel/losses/directclr.hpp>
#include <doppel/losses/nnclr.hpp>
#include <doppel/losses/ressl.hpp>
#include <doppel/losses/supcon.hpp>
#include <doppel/methods/simclr.hpp>
#include <doppel/queues/fifo.hpp>
#include <doppel/queues/support_set.hpp>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace doppel::methods {

namespace detail {
/// SimCLR's fields but those named: a variant words them anew, or has no use for them.
template <class Field>
void describe_without(std::initializer_list<std::string_view> names, SimclrOptions& o, Field&& field) {
    describe(o, [&](std::string_view name, auto& value, const char* meaning, const auto&... range) {
        const bool left_out = std::find(names.begin(), names.end(), name) != names.end();
        if (!left_out) field(std::string(name), value, meaning, range...);
    });
}

/// SimCLR's options for small images, with more steps an epoch and a higher learning rate, without which runs of some
/// hundred steps learn much less.
inline SimclrOptions small() {
    SimclrOptions o = simclr_small();
    o.batch_size = 64;
    o.lr = 0.3;
    return o;
}
}  // namespace detail

// ---- DCL -----------------------------------------------------------------------------------------------------------

/// The variant for images of about 32 px.
inline SimclrOptions dcl_small() { return detail::small(); }

/// SimCLR without the positive in the denominator.
/// Source: Yeh et al., "Decoupled Contrastive Learning", 2021, arXiv:2110.06848.
///
///     auto preset = methods::dcl(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::dcl_small());
template <class Encoder>
auto dcl(Encoder encoder, const SimclrOptions& o = {}) {
    const auto base = simclr(std::move(encoder), o);
    return with_recipe(base, "dcl", with_loss(base.recipe, losses::Dcl{.temperature = o.temperature}));
}

/// What DCLW leaves open besides.
struct DclwOptions : SimclrOptions {
    double sigma = 0.5;  ///< σ of the weights: the larger, the more equal they are
};

/// The variant for images of about 32 px.
inline DclwOptions dclw_small() {
    DclwOptions o{dcl_small()};
    o.temperature = 0.1;
    return o;
}

template <class Field>
void describe(DclwOptions& o, Field&& field) {
    describe(static_cast<SimclrOptions&>(o), field);
    field("sigma", o.sigma, "width of the positives' weights; the larger, the more equal", Limits{0, 100, true});
}

/// DCL with more weight on images whose views are still far apart.
/// Source: Yeh et al., 2021, arXiv:2110.06848.
///
///     auto preset = methods::dclw(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::dclw_small());
template <class Encoder>
auto dclw(Encoder encoder, const DclwOptions& o = {}) {
    const auto base = simclr(std::move(encoder), o);
    const losses::Dclw loss{.temperature = o.temperature, .sigma = o.sigma};
    return with_recipe(base, "dclw", with_loss(base.recipe, loss));
}

// ---- NNCLR ---------------------------------------------------------------------------------------------------------

/// What NNCLR leaves open besides. The paper's embeddings have 256 values: nnclr_options().
struct NnclrOptions : SimclrOptions {
    std::int64_t predictor = 4096;  ///< width of the predictor's hidden layer
    std::int64_t queue = 98304;     ///< rows of the support set
};

/// The paper's values for ImageNet.
inline NnclrOptions nnclr_options() {
    NnclrOptions o;
    o.out = 256;
    return o;
}

/// The variant for images of about 32 px: smaller heads and support set.
inline NnclrOptions nnclr_small() {
    NnclrOptions o{detail::small()};
    o.lr = 0.1;
    o.predictor = 512;
    o.queue = 1000;
    return o;
}

template <class Field>
void describe(NnclrOptions& o, Field&& field) {
    field("temperature", o.temperature, "temperature of InfoNCE", Limits{0, 10, true});
    field("queue", o.queue, "past embeddings among which an image finds its nearest neighbor", Limits{1, 1e9});
    field("predictor", o.predictor, "width of the predictor's hidden layer", Limits{1, 1 << 20});
    detail::describe_without({"temperature"}, o, field);
}

/// The nearest neighbor of one view in a support set is the positive of the other view's prediction: a projector of
/// three layers, each with BatchNorm, a predictor of two.
/// Source: Dwibedi et al., "With a Little Help from My Friends", 2021, arXiv:2104.14548, section 4.1.
///
///     auto preset = methods::nnclr(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::nnclr_small());
template <class Encoder>
auto nnclr(Encoder encoder, const NnclrOptions& o = nnclr_options()) {
    const auto base = simclr(std::move(encoder), o);
    const heads::Mlp projector{.hidden = {o.hidden, o.hidden}, .out = o.out, .last_norm = heads::LastNorm::affine};
    const heads::Mlp predictor{.hidden = {o.predictor}, .out = o.out};
    const auto headed = with_predictor(with_projector(base.recipe, projector), predictor);
    const auto stopped = with_target(headed, targets::StopGradient{});
    const auto remembers = with_queue(stopped, queues::SupportSet{.capacity = o.queue});
    return with_recipe(base, "nnclr", with_loss(remembers, losses::Nnclr{.temperature = o.temperature}));
}

// ---- ReSSL ---------------------------------------------------------------------------------------------------------

/// What ReSSL leaves open besides. The paper's values of SimCLR's options: ressl_options().
struct ResslOptions : SimclrOptions {
    double target_temperature = 0.04;  ///< τ_t of the target's relations, below the temperature
    double momentum = 0.999;           ///< m of the target; CIFAR-10: 0.99
    std::int64_t queue = 131072;       ///< rows that images are related to; CIFAR-10: 4096
};

/// The authors' values for ImageNet. A learning rate of 0 is 0.05 · batch_size / 256.
inline ResslOptions ressl_options() {
    ResslOptions o;
    o.epochs = 200;
    o.warmup = 5 / 200.;
    o.hidden = 4096;
    o.out = 512;
    o.strength = 0.5;
    o.min_scale = 0.2;
    return o;
}

/// The variant for images of about 32 px: a smaller projector and queue, a higher learning rate, and larger
/// crops with full jitter, without which short runs on the embedded images learned little at some seeds.
inline ResslOptions ressl_small() {
    ResslOptions o{detail::small()};
    o.temperature = 0.1;
    o.lr = 0.1;
    o.momentum = 0.99;
    o.queue = 4096;
    o.hidden = 1024;
    o.strength = 1;
    o.min_scale = 0.7;
    return o;
}

template <class Field>
void describe(ResslOptions& o, Field&& field) {
    field("temperature", o.temperature, "temperature of the online branch's relations", Limits{0, 10, true});
    field("target-temperature", o.target_temperature, "temperature of the target's relations", Limits{0, 10, true});
    field("momentum", o.momentum, "share of the old weights when the target follows", Limits{0, 1});
    field("queue", o.queue, "past embeddings that images are related to", Limits{1, 1e9});
    detail::describe_without({"temperature", "join-views"}, o, field);  // a branch sees one view
}

/// A strongly changed view must relate to the rows of a queue as a weakly changed one does, as seen by a target that
/// follows slowly; a projector of two layers without BatchNorm.
/// Differs: the authors shuffle the target's BatchNorm over 8 GPUs; here `recipe.passes` is as it is for SimCLR.
/// Source: Zheng et al., "ReSSL", 2021, arXiv:2107.09282, section 4, and the authors' code.
///
///     auto preset = methods::ressl(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::ressl_small());
template <class Encoder>
auto ressl(Encoder encoder, ResslOptions o = ressl_options()) {
    o.lr = scaled_lr(o.lr, 0.05, o.batch_size);
    const auto base = simclr(std::move(encoder), o);
    const auto branch = with_projector(base.recipe, heads::Mlp{.hidden = {o.hidden}, .out = o.out, .norm = false});
    const auto follows = with_target(branch, targets::Ema{.schedule = schedules::Constant{o.momentum},
                                                           .timing = targets::EmaTiming::before_forward});
    const auto remembers = with_queue(follows, queues::Fifo{.capacity = o.queue});
    const losses::Ressl loss{.temperature = o.temperature, .target_temperature = o.target_temperature};
    auto preset = with_recipe(base, "ressl", with_loss(remembers, loss));
    const bool small = o.size < 64;
    preset.views = views::ressl({.size = o.size,
                                  .strength = o.strength,
                                  .blur = o.blur,
                                  .scale = {o.min_scale, 1},
                                  .filter = image::Filter::bilinear,
                                  .normalize = small ? augment::cifar10_normalize : augment::imagenet_normalize,
                                  .channels = o.channels});
    return preset;
}

// ---- SupCon --------------------------------------------------------------------------------------------------------

/// The variant for images of about 32 px.
inline SimclrOptions supcon_small() { return detail::small(); }

/// SimCLR with labels: all views of all images of a class are positives. The positives of an image without a label are
/// its own views, as in SimCLR.
/// Differs: the authors' projector has no BatchNorm.
/// Source: Khosla et al., "Supervised Contrastive Learning", 2020, arXiv:2004.11362.
///
///     auto preset = methods::supcon(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::supcon_small());
template <class Encoder>
auto supcon(Encoder encoder, const SimclrOptions& o = {}) {
    const auto base = simclr(std::move(encoder), o);
    return with_recipe(base, "supcon", with_loss(base.recipe, losses::Supcon{.temperature = o.temperature}));
}

// ---- SimCLR v2 -----------------------------------------------------------------------------------------------------

/// The variant for images of about 32 px.
inline SimclrOptions simclr_v2_small() { return simclr_small(); }

/// SimCLR with a projector of three layers, the last BatchNorm with a scale and no offset as in the authors' code.
/// Out of scope: selective kernels, distillation, and fine-tuning from the projector's first layer, by which the paper
/// gains most where labels are few; the result is the encoder, as for all methods.
/// Source: Chen, Kornblith, Swersky, Norouzi, Hinton, "Big Self-Supervised Models are Strong Semi-Supervised Learners",
/// 2020, arXiv:2006.10029, section 2.
///
///     auto preset = methods::simclr_v2(encoders::ResNet{.depth = 18}, methods::simclr_v2_small());
template <class Encoder>
auto simclr_v2(Encoder encoder, const SimclrOptions& o = {}) {
    const auto base = simclr(std::move(encoder), o);
    const heads::Mlp projector{.hidden = {o.hidden, o.hidden}, .out = o.out, .last_norm = heads::LastNorm::scale_only};
    return with_recipe(base, "simclr_v2", with_projector(base.recipe, projector));
}

// ---- DirectCLR -----------------------------------------------------------------------------------------------------

/// What DirectCLR leaves open besides; `hidden` and `out` have no meaning, for there is no projector.
struct DirectclrOptions : SimclrOptions {
    std::int64_t dims = 360;  ///< features that the loss sees, at most the encoder's; authors: 360 of ResNet-50's 2048
};

/// The variant for images of about 32 px: 32 features, a quarter of a narrow ResNet's 128.
inline DirectclrOptions directclr_small() { return {detail::small(), 32}; }

template <class Field>
void describe(DirectclrOptions& o, Field&& field) {
    field("dims", o.dims, "features that the loss sees", Limits{1, 1 << 20});
    detail::describe_without({"hidden", "out-dim"}, o, field);
}

/// SimCLR without a projector: the loss sees a part of the encoder's features.
/// Differs: the authors train with LARS (0.3 for 256 images, no decay of biases and normalization) on BYOL's views.
/// Source: Jing, Vincent, LeCun, Tian, "Understanding Dimensional Collapse in Contrastive Self-supervised Learning",
/// 2021, arXiv:2110.09348, section 6, and the authors' code.
///
///     auto preset = methods::directclr(encoders::ResNet{.depth = 18}, methods::directclr_small());
template <class Encoder>
auto directclr(Encoder encoder, const DirectclrOptions& o = {}) {
    const auto base = simclr(std::move(encoder), o);
    const losses::Directclr loss{.dims = o.dims, .temperature = o.temperature};
    return with_recipe(base, "directclr", with_loss(with_projector(base.recipe, None{}), loss));
}

}  // namespace doppel::methods
