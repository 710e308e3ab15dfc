// SPDX-License-Identifier: Apache-2.0
// Barlow Twins: two views' embeddings correlate dimension by dimension; no negatives, no predictor, no target network.
#pragma once

#include <doppel/views/paper_views.hpp>
#include <doppel/options/range.hpp>
#include <doppel/encoders/adjust.hpp>
#include <doppel/losses/barlow_twins.hpp>
#include <doppel/methods/preset.hpp>
#include <doppel/optim/lars.hpp>
#include <doppel/optim/sgd.hpp>

#include <cstdint>
#include <string>
#include <utility>

namespace doppel::methods {

/// What Barlow Twins leaves open. The defaults are the authors' for ImageNet.
struct BarlowTwinsOptions {
    int size = 224;                  ///< side of the views in pixels
    int channels = 3;                ///< of the images: 3 or 1
    std::int64_t epochs = 100;       ///< passes over the training images; paper: 1000, 300 for ablations
    std::int64_t batch_size = 256;   ///< images a step; paper: 2048
    double lr = 0;                   ///< highest learning rate of the weights; 0: base_lr · batch_size / 256
    double base_lr = 0.2;            ///< paper: 0.2 for batches of 2048; authors' best: 0.4 for 256, 0.7 for 128
    double bias_lr = 0.024;          ///< LARS: rate of biases and normalization as a share of lr; paper: 0.0048 / 0.2
    double warmup = 0.1;             ///< share of the run in which the learning rate rises; paper: 10 epochs
    double weight_decay = 1e-6;      ///< not on biases and normalization
    bool sgd = false;                ///< SGD with momentum in place of LARS
    double lambda = 0.0051;          ///< λ, weight of the elements off the diagonal
    double scale = 1;                ///< multiplies the loss
    std::int64_t hidden = 8192;      ///< width of the projector's two hidden layers
    std::int64_t out = 8192;         ///< width of the embeddings
    double min_scale = 0.08;         ///< smallest share of the image's area that a crop takes
    bool zero_init = true;           ///< a ResNet's blocks start as the identity
};

namespace detail {
/// What Barlow Twins and VICReg share: the fields that describe() names but for the loss's, and a preset of the authors'
/// views and LARS, or SGD.
template <class Options, class Field>
void describe_redundancy(Options& o, Field&& field) {
    field("hidden", o.hidden, "width of the projector's hidden layers", Limits{1, 1 << 20});
    field("out-dim", o.out, "width of the embeddings", Limits{2, 1 << 20});
    field("min-scale", o.min_scale, "smallest share of the image's area that a crop takes", Limits{0, 1, true});
    field("base-lr", o.base_lr, "learning rate for 256 images a step", Limits{0, 100, true});
    field("sgd", o.sgd, "SGD in place of LARS");
    field("zero-init", o.zero_init, "a ResNet's blocks start as the identity");
    field("warmup", o.warmup, "share of the run in which the learning rate rises", Limits{0, 1});
    field("weight-decay", o.weight_decay, "weight decay, not on biases and normalization", Limits{0, 1});
}

template <class R, class Options>
Preset<R> redundancy_preset(std::string name, R recipe, const Options& o, optim::Rules except = {}) {
    const double lr = scaled_lr(o.lr, o.base_lr, o.batch_size);
    optim::AnyOptimizerSpec optimizer = optim::Lars{.lr = lr, .weight_decay = o.weight_decay, .except = std::move(except)};
    if (o.sgd) optimizer = optim::Sgd{.lr = lr, .weight_decay = o.weight_decay};
    auto views = views::byol({.size = o.size, .min_scale = o.min_scale, .channels = o.channels});
    views.name = name;
    return {.name = std::move(name),
            .recipe = std::move(recipe),
            .views = std::move(views),
            .optimizer = std::move(optimizer),
            .lr = schedules::WarmupCosine{.peak = lr, .warmup_fraction = o.warmup, .final = lr / 1000},
            .epochs = o.epochs,
            .batch_size = o.batch_size};
}
}  // namespace detail

/// The variant for images of about 32 px: a smaller head and batch, a higher learning rate, for short runs on small
/// sets.
inline BarlowTwinsOptions barlow_twins_small() {
    return {.size = 32,
            .batch_size = 64,
            .base_lr = 8,
            .warmup = 0.05,
            .weight_decay = 5e-4,
            .hidden = 512,
            .out = 512,
            .min_scale = 0.2,
            .zero_init = false};
}

template <class Field>
void describe(BarlowTwinsOptions& o, Field&& field) {
    field("lambda", o.lambda, "weight of the correlations off the diagonal", Limits{0, 100});
    field("loss-scale", o.scale, "multiplies the loss", Limits{0, 1000, true});
    detail::describe_redundancy(o, field);
    field("bias-lr", o.bias_lr, "LARS: rate of biases and normalization, as a share of the weights'", Limits{0, 100});
}

/// Barlow Twins with `encoder`: a projector of three bias-free layers, trained by LARS, where biases and normalization
/// have a learning rate of their own, or by SGD.
/// Source: Zbontar, Jing, Misra, LeCun, Deny, "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", 2021,
/// arXiv:2103.03230, section 2 and appendix, and the authors' code.
///
///     auto preset = methods::barlow_twins(encoders::ResNet{.depth = 50}, {.batch_size = 2048, .warmup = 0.01});
template <class Encoder>
auto barlow_twins(Encoder encoder, const BarlowTwinsOptions& o = {}) {
    encoders::zero_init_residual(encoder, o.zero_init);
    Recipe recipe{.encoder = std::move(encoder),
                  .projector = heads::Mlp{.hidden = {o.hidden, o.hidden}, .out = o.out, .bias = heads::Bias::never},
                  .loss = losses::BarlowTwins{.lambda = o.lambda, .scale = o.scale}};
    return detail::redundancy_preset("barlow_twins", std::move(recipe), o,
                                     {{.shapes = optim::Shapes::norm_and_bias, .lr_scale = o.bias_lr}});
}

}  // namespace doppel::methods
