// SPDX-License-Identifier: Apache-2.0
// MoCo v3: a prediction must find its key among the keys of the batch; for ResNets and Vision Transformers.
#pragma once

#include <doppel/views/paper_views.hpp>
#include <doppel/options/range.hpp>
#include <doppel/encoders/adjust.hpp>
#include <doppel/encoders/vit.hpp>
#include <doppel/losses/info_nce.hpp>
#include <doppel/methods/preset.hpp>
#include <doppel/optim/adamw.hpp>
#include <doppel/optim/lars.hpp>

#include <utility>

namespace doppel::methods {

/// What MoCo v3 leaves open. The defaults are ResNet-50's; moco_v3_vit() gives the ViT's.
struct MocoV3Options {
    int size = 224;                  ///< side of the views in pixels
    int channels = 3;                ///< of the images: 3 or 1
    std::int64_t epochs = 100;       ///< passes over the training images; paper: 100, 300, 1000
    std::int64_t batch_size = 256;   ///< images a step; paper: 4096
    double lr = 0;                   ///< highest learning rate; 0: base_lr · batch_size / 256
    double base_lr = 0.6;            ///< LARS, 100 epochs: 0.6, longer: 0.3; AdamW: 1.5e-4
    double warmup = 0.1;             ///< share of the run in which the learning rate rises
    double weight_decay = 1e-6;      ///< LARS: not on biases and normalization; AdamW: 0.1, on all parameters
    double temperature = 1.0;        ///< τ; ResNet 1, ViT 0.2
    double momentum = 0.99;          ///< m at the start; rises to 1 by half a cosine
    std::int64_t hidden = 4096;      ///< width of the hidden layers of projector and predictor
    std::int64_t out = 256;          ///< width of the embeddings
    double min_scale = 0.2;          ///< smallest share of the image's area that a crop takes; ViT: 0.08
    bool zero_init = true;           ///< a ResNet's blocks start as the identity
    bool frozen_patches = true;      ///< a ViT's patch projection keeps its random weights
};

/// The paper's values for ViT.
inline MocoV3Options moco_v3_vit() {
    return {.epochs = 300, .base_lr = 1.5e-4, .warmup = 40 / 300., .weight_decay = 0.1, .temperature = 0.2, .min_scale = 0.08};
}

/// The variants for images of about 32 px: smaller heads and batches, higher learning rates, for short runs on small sets.
inline MocoV3Options moco_v3_small() {
    return {.size = 32, .batch_size = 64, .base_lr = 12, .temperature = 0.2, .hidden = 512, .out = 128, .zero_init = false};
}
inline MocoV3Options moco_v3_vit_small() {
    return {.size = 32, .batch_size = 64, .base_lr = 1e-3, .weight_decay = 0.1, .temperature = 0.2, .hidden = 512, .out = 128};
}

template <class Field>
void describe(MocoV3Options& o, Field&& field) {
    field("temperature", o.temperature, "temperature of InfoNCE", Limits{0, 10, true});
    field("momentum", o.momentum, "share of the old weights when the key encoder follows, at the start", Limits{0, 1});
    field("hidden", o.hidden, "width of the hidden layers of projector and predictor", Limits{1, 1 << 20});
    field("out-dim", o.out, "width of the embeddings", Limits{2, 1 << 20});
    field("min-scale", o.min_scale, "smallest share of the image's area that a crop takes", Limits{0, 1, true});
    field("base-lr", o.base_lr, "learning rate for 256 images a step", Limits{0, 100, true});
    field("zero-init", o.zero_init, "a ResNet's blocks start as the identity");
    field("frozen-patches", o.frozen_patches, "a ViT's patch projection keeps its random weights");
    field("warmup", o.warmup, "share of the run in which the learning rate rises", Limits{0, 1});
    field("weight-decay", o.weight_decay, "weight decay", Limits{0, 1});
}

/// MoCo v3 with `encoder`. A ViT gets a three-layer projector, a predictor with a last BatchNorm, AdamW, fixed sin-cos
/// positions, the authors' initialization and frozen patches; a ResNet two layers, a predictor without, and LARS.
/// Differs: ViT-S has 6 heads as in DeiT unless .heads says 12, the authors' number.
/// Source: Chen, Xie, He, "An Empirical Study of Training Self-Supervised Vision Transformers", 2021, arXiv:2104.02057,
/// and the authors' code.
///
///     auto preset = methods::moco_v3(encoders::Vit{.kind = VitKind::s, .heads = 12}, methods::moco_v3_vit());
template <class Encoder>
auto moco_v3(Encoder encoder, const MocoV3Options& o = {}) {
    bool transformer = false;
    encoders::zero_init_residual(encoder, o.zero_init);
    encoders::adjust(encoder, [&](auto& net) {
        if constexpr (requires { net.frozen_patches; }) {
            transformer = true;
            net.positions = VitPositions::sin_cos;
            net.init = VitInit::moco_v3;
            net.frozen_patches = o.frozen_patches;
        }
    });
    using heads::Bias;
    using heads::LastNorm;
    Recipe recipe{
        .encoder = std::move(encoder),
        .projector = heads::Mlp{.hidden = std::vector<std::int64_t>(transformer ? 2 : 1, o.hidden), .out = o.out,
                                .last_norm = LastNorm::plain, .bias = Bias::never},
        .predictor = heads::Mlp{.hidden = {o.hidden}, .out = o.out,
                                .last_norm = transformer ? LastNorm::plain : LastNorm::none, .bias = Bias::never},
        .target = targets::Ema{.schedule = schedules::Cosine{.from = o.momentum, .to = 1}, .timing = targets::EmaTiming::before_forward},
        .loss = losses::InBatchInfoNce{.temperature = o.temperature}};
    const double lr = scaled_lr(o.lr, o.base_lr, o.batch_size);
    optim::AnyOptimizerSpec optimizer = optim::Lars{.lr = lr, .weight_decay = o.weight_decay};
    if (transformer) optimizer = optim::AdamW{.lr = lr, .weight_decay = o.weight_decay, .decay_norm_and_bias = true};
    return Preset<decltype(recipe)>{
        .name = "moco_v3",
        .recipe = std::move(recipe),
        .views = views::moco_v3({.size = o.size, .min_scale = o.min_scale, .channels = o.channels}),
        .optimizer = std::move(optimizer),
        .lr = schedules::WarmupCosine{.peak = lr, .warmup_fraction = o.warmup},
        .epochs = o.epochs,
        .batch_size = o.batch_size};
}

}  // namespace doppel::methods
