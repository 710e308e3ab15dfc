// SPDX-License-Identifier: Apache-2.0
// MoCo v1 and v2: a query must find its key among a queue of keys that a slowly moving copy has made.
#pragma once

#include <doppel/views/paper_views.hpp>
#include <doppel/options/range.hpp>
#include <doppel/losses/info_nce.hpp>
#include <doppel/heads/linear.hpp>
#include <doppel/methods/preset.hpp>
#include <doppel/optim/sgd.hpp>
#include <doppel/queues/fifo.hpp>

#include <utility>

namespace doppel::methods {

/// What MoCo leaves open. The defaults are v2's for ImageNet.
struct MocoOptions {
    int size = 224;                  ///< side of the views in pixels
    int channels = 3;                ///< of the images: 3 or 1
    std::int64_t epochs = 200;       ///< passes over the training images; paper: 200, 800
    std::int64_t batch_size = 256;   ///< images a step
    double lr = 0;                   ///< highest learning rate; 0: 0.03 · batch_size / 256
    double warmup = 0;               ///< share of the run in which the learning rate rises (v2)
    double weight_decay = 1e-4;      ///< on all parameters
    double temperature = 0.2;        ///< τ; v1: 0.07, v2: 0.2, CIFAR-10: 0.1
    double momentum = 0.999;         ///< m of the key encoder; 0.99 for small sets
    std::int64_t queue = 65536;      ///< keys that are kept; CIFAR-10: 4096
    std::int64_t hidden = 2048;      ///< width of v2's hidden layer; v1 has none
    std::int64_t out = 128;          ///< width of the embeddings
    std::int64_t bn_groups = 8;      ///< BatchNorm batches of a pass: the GPUs of the paper, on one device
    double min_scale = 0.2;          ///< smallest share of the image's area that a crop takes
    bool symmetric = false;          ///< each view is the query once: the sum of both losses, twice as many keys
};

/// v1's values for ImageNet: temperature 0.07; there is no hidden layer.
inline MocoOptions moco_v1_options() { return {.temperature = 0.07}; }

/// The variants for images of about 32 px: the authors' CIFAR-10 notebook with a smaller batch, queue and projector, both
/// directions and a higher learning rate, for short runs on small sets.
inline MocoOptions moco_small() {
    return {.size = 32, .batch_size = 64, .lr = 0.12, .warmup = 0.05, .weight_decay = 5e-4, .temperature = 0.2,
            .momentum = 0.99, .queue = 1000, .hidden = 256, .bn_groups = 2, .symmetric = true};
}
inline MocoOptions moco_v1_small() {
    auto options = moco_small();
    options.temperature = 0.1;
    options.bn_groups = 1;
    return options;
}

template <class Field>
void describe(MocoOptions& o, Field&& field) {
    field("temperature", o.temperature, "temperature of InfoNCE", Limits{0, 10, true});
    field("momentum", o.momentum, "share of the old weights when the key encoder follows", Limits{0, 1});
    field("queue", o.queue, "keys that are kept as negatives", Limits{1, 1e9});
    field("hidden", o.hidden, "width of the projector's hidden layer (v2)", Limits{1, 1 << 20});
    field("out-dim", o.out, "width of the embeddings", Limits{2, 1 << 20});
    field("bn-groups", o.bn_groups, "BatchNorm batches that a batch is cut into", Limits{1, 4096});
    field("min-scale", o.min_scale, "smallest share of the image's area that a crop takes", Limits{0, 1, true});
    field("symmetric", o.symmetric, "each view is the query once");
    field("warmup", o.warmup, "share of the run in which the learning rate rises (v2)", Limits{0, 1});
    field("weight-decay", o.weight_decay, "weight decay, on all parameters", Limits{0, 1});
}

namespace detail {
template <class Encoder, class Projector>
auto moco_recipe(Encoder encoder, Projector projector, const MocoOptions& o) {
    return Recipe{.encoder = std::move(encoder),
                  .projector = std::move(projector),
                  .target = targets::Ema{.schedule = schedules::Constant{o.momentum}, .timing = targets::EmaTiming::before_forward},
                  .queue = queues::Fifo{.capacity = o.queue},
                  .pairing = pairings::OneOrBoth{.both = o.symmetric},
                  .loss = losses::InfoNce{.temperature = o.temperature},
                  .passes = {.bn_groups = o.bn_groups, .shuffle_target = true}};
}
}  // namespace detail

/// MoCo v1 with `encoder`: a linear projection, the learning rate drops tenfold after 0.6 and 0.8 of the run.
/// Source: He, Fan, Wu, Xie, Girshick, "Momentum Contrast", 2019, arXiv:1911.05722, and the authors' code.
///
///     auto preset = methods::moco_v1(encoders::ResNet{.depth = 50});
template <class Encoder>
auto moco_v1(Encoder encoder, const MocoOptions& o = moco_v1_options()) {
    auto recipe = detail::moco_recipe(std::move(encoder), heads::Linear{.out = o.out}, o);
    const double lr = scaled_lr(o.lr, 0.03, o.batch_size);
    return Preset<decltype(recipe)>{
        .name = "moco_v1",
        .recipe = std::move(recipe),
        .views = views::moco_v1({.size = o.size, .min_scale = o.min_scale, .channels = o.channels}),
        .optimizer = optim::Sgd{.lr = lr, .weight_decay = o.weight_decay, .decay_norm_and_bias = true},
        .lr = schedules::MultiStep{.value = lr},
        .epochs = o.epochs,
        .batch_size = o.batch_size};
}

/// MoCo v2 with `encoder`: an MLP without BatchNorm, more augmentation, half a cosine.
/// Differs: the learning rate falls step by step, in the authors' code once an epoch.
/// Source: Chen, Fan, Girshick, He, "Improved Baselines with Momentum Contrastive Learning", 2020, arXiv:2003.04297.
///
///     auto preset = methods::moco_v2(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::moco_small());
template <class Encoder>
auto moco_v2(Encoder encoder, const MocoOptions& o = {}) {
    auto recipe = detail::moco_recipe(std::move(encoder), heads::Mlp{.hidden = {o.hidden}, .out = o.out, .norm = false}, o);
    const double lr = scaled_lr(o.lr, 0.03, o.batch_size);
    return Preset<decltype(recipe)>{
        .name = "moco_v2",
        .recipe = std::move(recipe),
        .views = views::moco_v2({.size = o.size, .min_scale = o.min_scale, .channels = o.channels}),
        .optimizer = optim::Sgd{.lr = lr, .weight_decay = o.weight_decay, .decay_norm_and_bias = true},
        .lr = schedules::WarmupCosine{.peak = lr, .warmup_fraction = o.warmup},
        .epochs = o.epochs,
        .batch_size = o.batch_size};
}

}  // namespace doppel::methods
