// SPDX-License-Identifier: Apache-2.0
// SimCLR: two views of an image must find each other among all views of the batch.
#pragma once

#include <doppel/options/range.hpp>
#include <doppel/encoders/adjust.hpp>
#include <doppel/losses/nt_xent.hpp>
#include <doppel/methods/preset.hpp>
#include <doppel/optim/sgd.hpp>

#include <utility>

namespace doppel::methods {

/// What SimCLR leaves open. The defaults are for photographs at 224 px.
struct SimclrOptions {
    int size = 224;                  ///< side of the views in pixels
    int channels = 3;                ///< of the images: 3 or 1
    std::int64_t epochs = 100;       ///< passes over the training images; paper: 100 to 1000
    std::int64_t batch_size = 256;   ///< images a step; paper: 4096 (with LARS), 512 for CIFAR-10
    double lr = 0;                   ///< highest learning rate; 0: 0.2 · batch_size / 128
    double warmup = 0.1;             ///< share of the run in which the learning rate rises
    double weight_decay = 1e-4;      ///< not on biases and normalization
    double temperature = 0.1;        ///< τ; paper: 0.1 for ImageNet, 0.5 for CIFAR-10
    std::int64_t hidden = 2048;      ///< width of the projector's hidden layer
    std::int64_t out = 128;          ///< width of the embeddings
    double strength = 1.0;           ///< of the color jitter; paper: 1, 0.5 for CIFAR-10
    double blur = 0.5;               ///< probability of blur; paper: 0.5, 0 for CIFAR-10
    double min_scale = 0.08;         ///< smallest share of the image's area that a crop takes
    bool join_views = false;         ///< both views in one BatchNorm batch, as in the authors' code; apart learns faster
    bool zero_init = true;           ///< a ResNet's blocks start as the identity, as in the authors' code
};

/// The variant for images of about 32 px: weaker jitter and no blur as in the paper's appendix B.9; the small batch
/// and projector, the larger crops and blocks that do not start as the identity make short runs on small sets learn faster.
inline SimclrOptions simclr_small() {
    return {.size = 32,
            .batch_size = 128,
            .warmup = 0.05,
            .weight_decay = 5e-4,
            .temperature = 0.2,
            .hidden = 256,
            .strength = 0.5,
            .blur = 0,
            .min_scale = 0.2,
            .zero_init = false};
}

/// Names the options that are SimCLR's own: name, field, meaning, range.
template <class Field>
void describe(SimclrOptions& o, Field&& field) {
    field("temperature", o.temperature, "temperature of NT-Xent", Limits{0, 10, true});
    field("hidden", o.hidden, "width of the projector's hidden layer", Limits{1, 1 << 20});
    field("out-dim", o.out, "width of the embeddings", Limits{2, 1 << 20});
    field("strength", o.strength, "strength of the color jitter", Limits{0, 2.5});
    field("blur", o.blur, "probability of blur", Limits{0, 1});
    field("min-scale", o.min_scale, "smallest share of the image's area that a crop takes", Limits{0, 1, true});
    field("join-views", o.join_views, "both views in one BatchNorm batch");
    field("warmup", o.warmup, "share of the run in which the learning rate rises", Limits{0, 1});
    field("weight-decay", o.weight_decay, "weight decay, not on biases and normalization", Limits{0, 1});
}

/// SimCLR with `encoder`.
/// Differs: SGD with momentum in place of LARS, which batches up to about 1024 do not need.
/// Source: Chen, Kornblith, Norouzi, Hinton, 2020, arXiv:2002.05709.
///
///     auto preset = methods::simclr(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::simclr_small());
template <class Encoder>
auto simclr(Encoder encoder, const SimclrOptions& o = {}) {
    encoders::zero_init_residual(encoder, o.zero_init);
    Recipe recipe{.encoder = std::move(encoder),
                  .projector = heads::Mlp{.hidden = {o.hidden}, .out = o.out},
                  .loss = losses::NtXent{.temperature = o.temperature},
                  .passes = {.join_views = o.join_views}};
    const double lr = o.lr > 0 ? o.lr : 0.2 * static_cast<double>(o.batch_size) / 128;
    const bool small = o.size < 64;
    return Preset<decltype(recipe)>{
        .name = "simclr",
        .recipe = std::move(recipe),
        .views = views::simclr({.size = o.size,
                                 .strength = o.strength,
                                 .blur = o.blur,
                                 .scale = {o.min_scale, 1},
                                 .filter = small ? image::Filter::bilinear : image::Filter::bicubic,
                                 .normalize = small ? augment::cifar10_normalize : augment::imagenet_normalize,
                                 .channels = o.channels}),
        .optimizer = optim::Sgd{.lr = lr, .momentum = 0.9, .weight_decay = o.weight_decay},
        .lr = schedules::WarmupCosine{.peak = lr, .warmup_fraction = o.warmup},
        .epochs = o.epochs,
        .batch_size = o.batch_size};
}

}  // namespace doppel::methods
