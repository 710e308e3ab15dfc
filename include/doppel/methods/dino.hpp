// SPDX-License-Identifier: Apache-2.0
// DINO: self-distillation; from every view the online network predicts the target's output for the global views.
#pragma once

#include <doppel/encoders/adjust.hpp>
#include <doppel/encoders/vit.hpp>
#include <doppel/heads/dino.hpp>
#include <doppel/losses/dino.hpp>
#include <doppel/methods/common.hpp>
#include <doppel/optim/adamw.hpp>
#include <doppel/optim/sgd.hpp>
#include <doppel/targets/ema.hpp>
#include <doppel/views/dino.hpp>

namespace doppel::methods {

struct DinoDefaults : Defaults {
    static constexpr std::int64_t batch_size = 512, out = 65536, temperature_epochs = 0;
    static constexpr double base_lr = 5e-4, weight_decay = 0.04, min_scale = 0.4, target_temperature = 0.04;
    static constexpr double warmup_temperature = 0.04;
    static constexpr int locals = 8;
    static constexpr bool pillow_blur = true, trained_gain = false;
};

/// Options of DINO and, with other defaults, of what is built on it.
template <class D>
struct DinoOptionsOf {
    Training<D> train{};
    Crops<D> crops{};                          ///< without local views crops from 0.14
    LocalCrops<D> locals{};
    double warmup = 10;
    double final_lr = 1e-6;
    Optimizer optimizer = Optimizer::adamw;    ///< or sgd
    double final_weight_decay = 0.4;
    double temperature = 0.1;
    double target_temperature = D::target_temperature;  ///< paper's long runs: 0.07 after 30 epochs
    double warmup_temperature = D::warmup_temperature;
    std::int64_t temperature_epochs = D::temperature_epochs;
    bool sinkhorn = false;                     ///< DINOv2
    double center_momentum = 0.9;
    double momentum = 0.996;                   ///< batches of 256: 0.9995
    std::int64_t hidden = 2048;
    std::int64_t bottleneck = 256;
    std::int64_t out = D::out;
    bool head_norm = false;
    bool trained_gain = D::trained_gain;       ///< authors: for ViT-S in long runs
    double clip = 3;
    double freeze_epochs = 1;
    double drop_path = 0.1;
    bool sin_cos = false;
    bool xavier = false;

    static constexpr auto fields() {
        using O = DinoOptionsOf;
        using options::above;
        using options::between;
        using options::field;
        return std::tuple(
            options::group(&O::train), options::group(&O::crops), options::group(&O::locals), warmup_field(&O::warmup),
            field(&O::final_lr, "final-lr", "learning rate at the end", between(0, 100)),
            optimizer_field(&O::optimizer, "adamw or sgd"),
            field(&O::final_weight_decay, "final-weight-decay", "weight decay at the end, by half a cosine", options::fraction),
            temperature_field(&O::temperature, "temperature of the online network"),
            field(&O::target_temperature, "target-temperature", "temperature of the target", above(0, 10)),
            field(&O::warmup_temperature, "warmup-temperature", "temperature of the target in the first epoch", above(0, 10)),
            field(&O::temperature_epochs, "temperature-epochs", "epochs in which the target's temperature rises", between(0, 1e9),
                  "epochs"),
            field(&O::sinkhorn, "sinkhorn", "Sinkhorn's iteration in place of the center"),
            field(&O::center_momentum, "center-momentum", "share of the old center", options::fraction),
            target_momentum_field(&O::momentum),
            hidden_field(&O::hidden, "width of the head's hidden layers"),
            field(&O::bottleneck, "bottleneck", "width of the head's unit vectors", options::width),
            out_field(&O::out, "prototypes: outputs of the head"), field(&O::head_norm, "head-norm", "BatchNorm in the head"),
            field(&O::trained_gain, "trained-gain", "train the scale of the head's last layer"),
            field(&O::clip, "clip", "largest gradient norm of each parameter; 0: any", between(0, 1e6)),
            field(&O::freeze_epochs, "freeze-epochs", "epochs in which the head's last layer is not trained", between(0, 1e6), "epochs"),
            field(&O::drop_path, "drop-path", "a ViT's drop-path rate in the last block, online network only", between(0, 0.99)),
            field(&O::sin_cos, "sin-cos", "fixed sin-cos positions in a ViT, not learned ones"),
            field(&O::xavier, "xavier", "MoCo v3's initialization (Xavier) of a ViT, not N(0, 0.02^2)"));
    }
};

/// Options of DINO. Defaults: the authors' for 100 epochs of a ViT-S/16 on ImageNet; dino_resnet holds those for a ResNet.
using DinoOptions = DinoOptionsOf<DinoDefaults>;

/// The authors' values for ResNet-50.
inline constexpr DinoOptions dino_resnet{.train = {.base_lr = 0.03, .weight_decay = 1e-4},
                                         .crops = {.min_scale = 0.14},
                                         .locals = {.max_scale = 0.14},
                                         .optimizer = Optimizer::sgd,
                                         .final_weight_decay = 1e-4};

/// For images of about 32 px: smaller heads and batches, few prototypes and local views, a target that follows quickly, for
/// short runs on small sets. Some hundred steps are too few for the authors' settings: Sinkhorn and BatchNorm in the head
/// keep the prototypes in use from the start, a lower temperature sharpens the target, and a ViT gets MoCo v3's weights and
/// positions, from which it learns sooner.
template <class Options>
constexpr Options dino_vit_small_values() {
    return {.train = {.epochs = 100, .batch_size = 64, .base_lr = 4e-3},
            .crops = {.size = 32, .min_scale = 0.4},
            .locals = {.count = 2, .min_scale = 0.2, .max_scale = 0.5},
            .warmup = 0.1,
            .target_temperature = 0.02,
            .warmup_temperature = 0.02,
            .temperature_epochs = 0,
            .sinkhorn = true,
            .momentum = 0.99,
            .hidden = 512,
            .bottleneck = 64,
            .out = 64,
            .head_norm = true,
            .trained_gain = false,
            .drop_path = 0,
            .sin_cos = true,
            .xavier = true};
}
inline constexpr DinoOptions dino_vit_small = dino_vit_small_values<DinoOptions>();
inline constexpr DinoOptions dino_small = [] {
    DinoOptions o = dino_vit_small;
    o.train.weight_decay = o.final_weight_decay = 5e-4;
    return o;
}();

/// DINO with `encoder`. One encoder pass for each size of views, one head pass over all. Trained by AdamW with a weight decay
/// that rises, or by SGD; gradients are clipped one by one, and the head's last layer is frozen at first. The result is the
/// target network. A ViT's class token and positions decay, as in the authors' code.
/// Differs: the authors' warm-up reaches the peak one step earlier.
/// Source: Caron, Touvron, Misra, Jégou, Mairal, Bojanowski, Joulin, "Emerging Properties in Self-Supervised Vision
/// Transformers", 2021, arXiv:2104.14294, section 3 and appendix, and the authors' code and its README.
///
///     auto preset = methods::dino(encoders::Vit{.kind = VitKind::s});
///     auto small = methods::dino(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::dino_small);
template <class Encoder, class D = DinoDefaults>
auto dino(Encoder encoder, const DinoOptionsOf<D>& o = {}) {
    encoders::zero_init_residual(encoder, false);
    encoders::adjust(encoder, [&](auto& net) {
        if constexpr (requires { net.drop_path; }) {
            net.drop_path = o.drop_path;
            if (o.sin_cos) net.positions = VitPositions::sin_cos;
            if (o.xavier) net.init = VitInit::moco_v3;
        }
    });
    Recipe recipe{
        .encoder = std::move(encoder),
        .projector = heads::Dino{.hidden = o.hidden, .bottleneck = o.bottleneck, .out = o.out, .norm = o.head_norm,
                                 .trained_gain = o.trained_gain},
        .target = targets::Ema{.schedule = schedules::Cosine{.from = o.momentum, .to = 1},
                               .timing = targets::EmaTiming::after_step},
        .loss = losses::Dino{.temperature = o.temperature,
                             .target_temperature = {.from = o.warmup_temperature, .to = o.target_temperature,
                                                    .epochs = o.temperature_epochs},
                             .center_momentum = o.center_momentum,
                             .centering = o.sinkhorn ? losses::Centering::sinkhorn : losses::Centering::mean},
        .layout = {.join_views = true, .join_heads = true}};
    const double decay = o.train.weight_decay > 0 ? o.train.weight_decay : o.final_weight_decay;  // which parameters decay at all
    const int sixteenths = std::max(1, static_cast<int>(std::lround(o.crops.size * 3 / 112.0)));
    auto views = views::dino({.size = o.crops.size,
                              .local_size = o.locals.size > 0 ? o.locals.size : 16 * sixteenths,
                              .locals = o.locals.count,
                              .global_min_scale = o.crops.min_scale,
                              .local_min_scale = o.locals.min_scale,
                              .local_max_scale = o.locals.max_scale,
                              .channels = o.crops.channels,
                              .pillow_blur = o.crops.pillow_blur});
    auto preset = preset_of("dino", std::move(recipe), std::move(views),
                            optimizer_of("dino", o.optimizer, {{Optimizer::adamw, optim::AdamW{.weight_decay = decay}},
                                                               {Optimizer::sgd, optim::Sgd{.weight_decay = decay}}}),
                            [train = o.train, warmup = o.warmup, final = o.final_lr](std::int64_t images) {
                                return rise_and_fall(train.peak_lr(images), warmup, final);
                            }, o);
    preset.export_encoder = Network::target;
    preset.clip = {.each = o.clip};
    if (o.final_weight_decay != o.train.weight_decay)
        preset.weight_decay = schedules::Cosine{.from = o.train.weight_decay, .to = o.final_weight_decay};
    if (o.freeze_epochs > 0) preset.frozen = {{.matches = "projector.last_layer", .epochs = o.freeze_epochs}};
    return preset;
}

}  // namespace doppel::methods
