// SPDX-License-Identifier: Apache-2.0
// MMCR: the mean embeddings of the images' views must fill as many dimensions as they can; any number of views.
#pragma once

#include <doppel/views/paper_views.hpp>
#include <doppel/options/range.hpp>
#include <doppel/encoders/adjust.hpp>
#include <doppel/losses/mmcr.hpp>
#include <doppel/methods/preset.hpp>
#include <doppel/optim/adamw.hpp>
#include <doppel/optim/lars.hpp>

#include <cstdint>
#include <utility>
#include <vector>

namespace doppel::methods {

/// What MMCR leaves open. The defaults are the authors' for ImageNet.
struct MmcrOptions {
    int size = 224;                  ///< side of the views in pixels
    int channels = 3;                ///< of the images: 3 or 1
    std::int64_t views = 8;          ///< of an image, ≥ 2; paper: 2, 4 and 8 for ImageNet, 40 for CIFAR-10
    std::int64_t epochs = 100;       ///< passes over the training images; CIFAR-10: 500
    std::int64_t batch_size = 256;   ///< images a step; paper: 2048, 32 for CIFAR-10
    double lr = 0;                   ///< highest learning rate; 0: base_lr · batch_size / 256
    double base_lr = 0.6;            ///< for LARS
    double warmup = 0.1;             ///< share of the run in which the learning rate rises
    double weight_decay = 1e-6;      ///< LARS: not on biases and normalization; Adam: on all parameters
    bool adam = false;               ///< Adam in place of LARS
    double lambda = 0;               ///< λ, weight of the local term
    std::int64_t hidden = 8192;      ///< width of the projector's hidden layers
    std::int64_t hidden_layers = 2;  ///< how many
    std::int64_t out = 512;          ///< width of the embeddings
    double min_scale = 0.08;         ///< smallest share of the image's area that a crop takes
    bool join_views = true;          ///< all views in one BatchNorm batch, as in the authors' code
    bool zero_init = true;           ///< a ResNet's blocks start as the identity; authors: not for CIFAR-10
};

/// The variant for images of about 32 px: the authors' CIFAR-10 head and optimizer, with fewer views of more images,
/// for short runs on small sets.
inline MmcrOptions mmcr_small() {
    return {.size = 32,
            .views = 2,
            .batch_size = 64,
            .lr = 5e-3,
            .adam = true,
            .hidden = 512,
            .hidden_layers = 1,
            .out = 128,
            .min_scale = 0.2,
            .zero_init = false};
}

template <class Field>
void describe(MmcrOptions& o, Field&& field) {
    field("views", o.views, "views of an image", Limits{2, 1000});
    field("lambda", o.lambda, "weight of the local term, which keeps an image's views together", Limits{0, 100});
    field("hidden", o.hidden, "width of the projector's hidden layers", Limits{1, 1 << 20});
    field("hidden-layers", o.hidden_layers, "hidden layers of the projector", Limits{0, 10});
    field("out-dim", o.out, "width of the embeddings", Limits{2, 1 << 20});
    field("min-scale", o.min_scale, "smallest share of the image's area that a crop takes", Limits{0, 1, true});
    field("adam", o.adam, "Adam in place of LARS");
    field("base-lr", o.base_lr, "learning rate of LARS for 256 images a step", Limits{0, 100, true});
    field("join-views", o.join_views, "all views in one BatchNorm batch");
    field("zero-init", o.zero_init, "a ResNet's blocks start as the identity");
    field("warmup", o.warmup, "share of the run in which the learning rate rises", Limits{0, 1});
    field("weight-decay", o.weight_decay, "weight decay", Limits{0, 1});
}

namespace detail {
/// From 64 px on Barlow Twins' two views (and BYOL's) by turns; below, equal views as in the authors' CIFAR-10 code.
inline views::Views mmcr_views(const MmcrOptions& o) {
    require(o.views >= 2, "mmcr: views must be at least 2, got ", o.views);
    if (o.size < 64) {
        auto alike = views::simclr({.size = o.size,
                                     .strength = 0.5,
                                     .blur = 0,
                                     .scale = {o.min_scale, 1},
                                     .filter = image::Filter::bilinear,
                                     .normalize = augment::cifar10_normalize,
                                     .channels = o.channels,
                                     .views = static_cast<int>(o.views)});
        alike.name = "mmcr";
        return alike;
    }
    auto turns = views::byol({.size = o.size, .min_scale = o.min_scale, .channels = o.channels});
    const auto two = turns.each;
    const auto count = static_cast<std::size_t>(o.views);
    for (std::size_t v = 2; v < count; ++v) turns.each.push_back(two[v % 2]);
    turns.globals = static_cast<int>(o.views);
    turns.name = "mmcr";
    return turns;
}
}  // namespace detail

/// MMCR with `encoder`: one network, trained by LARS, or by Adam.
/// Differs: with Adam the authors keep the learning rate constant.
/// Source: Yerxa, Kuang, Simoncelli, Chung, NeurIPS 2023, arXiv:2303.03307, appendix, and the authors' code.
///
///     auto preset = methods::mmcr(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::mmcr_small());
template <class Encoder>
auto mmcr(Encoder encoder, const MmcrOptions& o = {}) {
    encoders::zero_init_residual(encoder, o.zero_init);
    const std::vector<std::int64_t> hidden(static_cast<std::size_t>(o.hidden_layers), o.hidden);
    Recipe recipe{.encoder = std::move(encoder),
                  .projector = heads::Mlp{.hidden = hidden, .out = o.out, .bias = heads::Bias::never},
                  .loss = losses::Mmcr{.lambda = o.lambda},
                  .passes = {.join_views = o.join_views}};
    const double lr = scaled_lr(o.lr, o.base_lr, o.batch_size);
    optim::AnyOptimizerSpec optimizer = optim::Lars{.lr = lr, .weight_decay = o.weight_decay};
    const optim::AdamW adam{.lr = lr, .weight_decay = o.weight_decay, .decay_norm_and_bias = true, .decoupled = false};
    if (o.adam) optimizer = adam;
    return Preset<decltype(recipe)>{
        .name = "mmcr",
        .recipe = std::move(recipe),
        .views = detail::mmcr_views(o),
        .optimizer = std::move(optimizer),
        .lr = schedules::WarmupCosine{.peak = lr, .warmup_fraction = o.warmup, .final = lr / 1000},
        .epochs = o.epochs,
        .batch_size = o.batch_size};
}

/// What MMCR-Momentum leaves open besides.
struct MmcrMomentumOptions : MmcrOptions {
    double momentum = 0.99;  ///< share of the old weights when the target follows, the same throughout
};

template <class Field>
void describe(MmcrMomentumOptions& o, Field&& field) {
    field("momentum", o.momentum, "share of the old weights when the target follows", Limits{0, 1});
    describe(static_cast<MmcrOptions&>(o), field);
}

/// MMCR with a target that follows slowly and sees the same views: a centroid is the mean of both branches. The
/// authors' choice for ImageNet, at the price of a second forward pass.
/// Source: as for mmcr; the authors' code.
///
///     auto preset = methods::mmcr_momentum(encoders::ResNet{.depth = 50}, {{.views = 2}});
template <class Encoder>
auto mmcr_momentum(Encoder encoder, const MmcrMomentumOptions& o = {}) {
    const auto base = mmcr(std::move(encoder), o);
    return with_recipe(base, "mmcr_momentum",
                       with_target(base.recipe, targets::Ema{.schedule = schedules::Constant{o.momentum},
                                                              .timing = targets::EmaTiming::after_step}));
}

}  // namespace doppel::methods
