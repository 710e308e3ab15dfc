// SPDX-License-Identifier: Apache-2.0
// BYOL: predict what a slowly moving copy says of another view; no negatives.
#pragma once

#include <doppel/views/paper_views.hpp>
#include <doppel/options/range.hpp>
#include <doppel/encoders/adjust.hpp>
#include <doppel/losses/cosine.hpp>
#include <doppel/methods/preset.hpp>
#include <doppel/optim/lars.hpp>

#include <utility>

namespace doppel::methods {

/// What BYOL leaves open. The defaults are the paper's for 100 epochs of ImageNet.
struct ByolOptions {
    int size = 224;                  ///< side of the views in pixels
    int channels = 3;                ///< of the images: 3 or 1
    std::int64_t epochs = 100;       ///< passes over the training images; paper: 40 to 1000
    std::int64_t batch_size = 256;   ///< images a step; paper: 4096
    double lr = 0;                   ///< highest learning rate; 0: base_lr · batch_size / 256
    double base_lr = 0.45;           ///< paper: 0.45 for up to 100 epochs, 0.3 for 300, 0.2 for 1000
    double warmup = 0.1;             ///< share of the run in which the learning rate rises
    double weight_decay = 1e-6;      ///< not on biases and normalization; paper: 1.5e-6 for 1000 epochs
    double momentum = 0.99;          ///< τ at the start, rises to 1 by half a cosine; paper: 0.99, 0.996 for 1000 epochs
    std::int64_t hidden = 4096;      ///< width of the hidden layers of projector and predictor
    std::int64_t out = 256;          ///< width of the embeddings
    double min_scale = 0.08;         ///< smallest share of the image's area that a crop takes
    bool zero_init = true;           ///< a ResNet's blocks start as the identity (the released code; the paper's runs: not)
};

/// The variant for images of about 32 px: smaller heads and batches, a higher learning rate and a target that follows
/// quickly, for short runs (some 1,000 steps) on small sets; longer runs want a momentum nearer to 1.
inline ByolOptions byol_small() {
    return {.size = 32, .batch_size = 64, .base_lr = 2, .momentum = 0.9, .hidden = 512, .out = 128, .min_scale = 0.2,
            .zero_init = false};
}

template <class Field>
void describe(ByolOptions& o, Field&& field) {
    field("momentum", o.momentum, "share of the old weights when the target follows, at the start", Limits{0, 1});
    field("hidden", o.hidden, "width of the hidden layers of projector and predictor", Limits{1, 1 << 20});
    field("out-dim", o.out, "width of the embeddings", Limits{2, 1 << 20});
    field("min-scale", o.min_scale, "smallest share of the image's area that a crop takes", Limits{0, 1, true});
    field("base-lr", o.base_lr, "learning rate for 256 images a step", Limits{0, 100, true});
    field("zero-init", o.zero_init, "a ResNet's blocks start as the identity");
    field("warmup", o.warmup, "share of the run in which the learning rate rises", Limits{0, 1});
    field("weight-decay", o.weight_decay, "weight decay, not on biases and normalization", Limits{0, 1});
}

/// BYOL with `encoder`, trained by LARS.
/// Differs: the target starts as a copy of the online network, in the authors' code as a network of its own.
/// Source: Grill et al., "Bootstrap your own latent", 2020, arXiv:2006.07733, section 3 and appendix, and the authors' code.
///
///     auto preset = methods::byol(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::byol_small());
template <class Encoder>
auto byol(Encoder encoder, const ByolOptions& o = {}) {
    encoders::zero_init_residual(encoder, o.zero_init);
    const heads::Mlp head{.hidden = {o.hidden}, .out = o.out, .bias = heads::Bias::hidden_only};
    Recipe recipe{.encoder = std::move(encoder),
                  .projector = head,
                  .predictor = head,
                  .target = targets::Ema{.schedule = schedules::Cosine{.from = o.momentum, .to = 1}, .timing = targets::EmaTiming::after_step},
                  .loss = losses::ByolMse{}};
    const double lr = scaled_lr(o.lr, o.base_lr, o.batch_size);
    return Preset<decltype(recipe)>{
        .name = "byol",
        .recipe = std::move(recipe),
        .views = views::byol({.size = o.size, .min_scale = o.min_scale, .channels = o.channels}),
        .optimizer = optim::Lars{.lr = lr, .weight_decay = o.weight_decay},
        .lr = schedules::WarmupCosine{.peak = lr, .warmup_fraction = o.warmup},
        .epochs = o.epochs,
        .batch_size = o.batch_size};
}

}  // namespace doppel::methods
