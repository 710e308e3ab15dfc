// SPDX-License-Identifier: Apache-2.0
// SimSiam: one network, a predictor and a stop-gradient; no negatives, no momentum encoder.
#pragma once

#include <doppel/views/paper_views.hpp>
#include <doppel/options/range.hpp>
#include <doppel/encoders/adjust.hpp>
#include <doppel/losses/cosine.hpp>
#include <doppel/methods/preset.hpp>
#include <doppel/optim/sgd.hpp>

#include <utility>

namespace doppel::methods {

/// What SimSiam leaves open. The defaults are the paper's for ImageNet.
struct SimsiamOptions {
    int size = 224;                  ///< side of the views in pixels
    int channels = 3;                ///< of the images: 3 or 1
    std::int64_t epochs = 100;       ///< passes over the training images; paper: 100 to 800
    std::int64_t batch_size = 512;   ///< images a step
    double lr = 0;                   ///< learning rate at the start; 0: base_lr · batch_size / 256
    double base_lr = 0.05;           ///< paper: 0.05; CIFAR-10: 0.03
    double warmup = 0;               ///< share of the run in which the learning rate rises
    double weight_decay = 1e-4;      ///< on all parameters; CIFAR-10: 5e-4
    std::int64_t layers = 3;         ///< linear layers of the projector; CIFAR-10: 2
    std::int64_t out = 2048;         ///< width of the projector's layers and of the embeddings
    std::int64_t bottleneck = 512;   ///< width of the predictor's hidden layer
    double min_scale = 0.2;          ///< smallest share of the image's area that a crop takes
    bool fix_predictor_lr = true;    ///< the predictor's learning rate stays where it starts
    bool zero_init = true;           ///< a ResNet's blocks start as the identity
};

/// The variant for images of about 32 px: the paper's appendix D (two layers, weight decay 5e-4), narrower, with a
/// smaller batch and a higher learning rate, for short runs on small sets.
inline SimsiamOptions simsiam_small() {
    return {.size = 32, .batch_size = 64, .base_lr = 0.6, .warmup = 0.05, .weight_decay = 5e-4, .layers = 2, .out = 512,
            .bottleneck = 128, .zero_init = false};
}

template <class Field>
void describe(SimsiamOptions& o, Field&& field) {
    field("layers", o.layers, "linear layers of the projector", Limits{1, 16});
    field("out-dim", o.out, "width of the projector's layers and of the embeddings", Limits{2, 1 << 20});
    field("bottleneck", o.bottleneck, "width of the predictor's hidden layer", Limits{1, 1 << 20});
    field("min-scale", o.min_scale, "smallest share of the image's area that a crop takes", Limits{0, 1, true});
    field("base-lr", o.base_lr, "learning rate for 256 images a step", Limits{0, 100, true});
    field("fix-predictor-lr", o.fix_predictor_lr, "the predictor's learning rate stays where it starts");
    field("zero-init", o.zero_init, "a ResNet's blocks start as the identity");
    field("warmup", o.warmup, "share of the run in which the learning rate rises", Limits{0, 1});
    field("weight-decay", o.weight_decay, "weight decay, on all parameters", Limits{0, 1});
}

/// SimSiam with `encoder`. The projector's last BatchNorm has no scale and offset, the predictor ends without one.
/// Source: Chen, He, "Exploring Simple Siamese Representation Learning", 2020, arXiv:2011.10566, and the authors' code.
///
///     auto preset = methods::simsiam(encoders::ResNet{.depth = 50});
template <class Encoder>
auto simsiam(Encoder encoder, const SimsiamOptions& o = {}) {
    encoders::zero_init_residual(encoder, o.zero_init);
    Recipe recipe{.encoder = std::move(encoder),
                  .projector = heads::Mlp{.hidden = std::vector<std::int64_t>(static_cast<std::size_t>(o.layers - 1), o.out),
                                          .out = o.out, .last_norm = heads::LastNorm::plain, .bias = heads::Bias::frozen_last},
                  .predictor = heads::Mlp{.hidden = {o.bottleneck}, .out = o.out},
                  .target = targets::StopGradient{},
                  .loss = losses::NegativeCosine{}};
    const double lr = scaled_lr(o.lr, o.base_lr, o.batch_size);
    optim::Sgd sgd{.lr = lr, .weight_decay = o.weight_decay, .decay_norm_and_bias = true};
    if (o.fix_predictor_lr) sgd.except = {{.matches = "predictor.", .fixed_lr = lr}};
    return Preset<decltype(recipe)>{
        .name = "simsiam",
        .recipe = std::move(recipe),
        .views = views::moco_v2({.size = o.size, .min_scale = o.min_scale, .channels = o.channels}),
        .optimizer = std::move(sgd),
        .lr = schedules::WarmupCosine{.peak = lr, .warmup_fraction = o.warmup},
        .epochs = o.epochs,
        .batch_size = o.batch_size};
}

}  // namespace doppel::methods
