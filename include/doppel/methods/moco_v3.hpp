// SPDX-License-Identifier: Apache-2.0
// MoCo v3: a prediction must find its key among the keys of the batch; for ResNets and Vision Transformers.
#pragma once

#include <doppel/encoders/adjust.hpp>
#include <doppel/encoders/vit.hpp>
#include <doppel/heads/mlp.hpp>
#include <doppel/losses/info_nce.hpp>
#include <doppel/methods/common.hpp>
#include <doppel/optim/adamw.hpp>
#include <doppel/optim/lars.hpp>
#include <doppel/targets/ema.hpp>
#include <doppel/views/moco_v3.hpp>

namespace doppel::methods {

struct MocoV3Defaults : Defaults {
    static constexpr double base_lr = 0.6, weight_decay = 1e-6, min_scale = 0.2;
    static constexpr bool pillow_blur = true;
};

/// Options of MoCo v3. Defaults: the paper's for ResNet-50 and 100 epochs; moco_v3_vit holds those for a ViT.
struct MocoV3Options {
    Training<MocoV3Defaults> train{};  ///< paper: batches of 4096; base_lr 0.3 for 300 and 1000 epochs
    Crops<MocoV3Defaults> crops{};
    double warmup = 10;
    double temperature = 1.0;
    double momentum = 0.99;
    std::int64_t hidden = 4096;
    std::int64_t out = 256;
    bool zero_init = true;
    bool frozen_patches = true;

    static constexpr auto fields() {
        using O = MocoV3Options;
        return std::tuple(options::group(&O::train), options::group(&O::crops), warmup_field(&O::warmup),
                          temperature_field(&O::temperature),
                          target_momentum_field(&O::momentum),
                          hidden_field(&O::hidden, "width of the hidden layers of projector and predictor"), out_field(&O::out),
                          zero_init_field(&O::zero_init),
                          options::field(&O::frozen_patches, "frozen-patches", "a ViT's patch projection keeps its random weights"));
    }
};

/// The paper's values for a ViT.
inline constexpr MocoV3Options moco_v3_vit{.train = {.epochs = 300, .base_lr = 1.5e-4, .weight_decay = 0.1},
                                           .crops = {.min_scale = 0.08},
                                           .warmup = 40,
                                           .temperature = 0.2};
/// For images of about 32 px: smaller heads and batches, higher learning rates, and for a ResNet a target that follows
/// quickly, for short runs on small sets.
inline constexpr MocoV3Options moco_v3_small{.train = {.batch_size = 64, .base_lr = 12},
                                             .crops = {.size = 32},
                                             .warmup = 0.1,
                                             .temperature = 0.2,
                                             .momentum = 0.9,
                                             .hidden = 512,
                                             .out = 128,
                                             .zero_init = false};
inline constexpr MocoV3Options moco_v3_vit_small{.train = {.batch_size = 64, .base_lr = 1e-3, .weight_decay = 0.1},
                                                 .crops = {.size = 32},
                                                 .warmup = 0.1,
                                                 .temperature = 0.2,
                                                 .hidden = 512,
                                                 .out = 128};

/// MoCo v3 with `encoder`. A ViT gets a three-layer projector, a predictor with a last BatchNorm, AdamW on all parameters,
/// fixed sin-cos positions, the authors' initialization and frozen patches; a ResNet two layers, a predictor without, and
/// LARS.
/// Differs: ViT-S has 6 heads as in DeiT and timm; the authors' has 12: .heads = 12, on the command line --arch vit_s16h12.
/// Source: Chen, Xie, He, "An Empirical Study of Training Self-Supervised Vision Transformers", 2021, arXiv:2104.02057,
/// and the authors' code.
///
///     auto preset = methods::moco_v3(encoders::Vit{.kind = VitKind::s, .heads = 12}, methods::moco_v3_vit);
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
        .target = targets::Ema{.schedule = schedules::Cosine{.from = o.momentum, .to = 1},
                               .timing = targets::EmaTiming::before_forward},
        .loss = losses::InBatchInfoNce{.temperature = o.temperature}};
    optim::AnyOptimizerSpec optimizer = optim::Lars{.weight_decay = o.train.weight_decay};
    if (transformer) optimizer = optim::AdamW{.weight_decay = o.train.weight_decay, .decay_norm_and_bias = true};
    return preset_of("moco_v3", std::move(recipe), views::moco_v3(o.crops), std::move(optimizer), warmup_cosine(o.train, o.warmup),
                     o);
}

}  // namespace doppel::methods
