// SPDX-License-Identifier: Apache-2.0
// DINO: all views name the class that a slow copy of the network names; for Vision Transformers and ResNets.
#pragma once

#include <doppel/views/paper_views.hpp>
#include <doppel/core/error.hpp>
#include <doppel/options/range.hpp>
#include <doppel/encoders/adjust.hpp>
#include <doppel/encoders/vit.hpp>
#include <doppel/heads/dino.hpp>
#include <doppel/losses/dino.hpp>
#include <doppel/methods/preset.hpp>
#include <doppel/optim/adamw.hpp>
#include <doppel/optim/sgd.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace doppel::views {

/// What DINO's pipeline leaves open.
struct DinoCrops {
    int size = 224;                                       ///< side of the two global views in pixels
    int local_size = 96;                                  ///< side of the local views in pixels
    int locals = 8;                                       ///< local views, ≥ 0
    double global_min_scale = 0.4;                        ///< smallest share of the image's area of a global view
    double local_min_scale = 0.05, local_max_scale = 0.4;  ///< shares of the area of a local view
    int channels = 3;                                     ///< of the views: 3 or 1
};

/// Two global views and some local ones: crop, flip, jitter (0.4, 0.4, 0.2, 0.1; p 0.8), gray (p 0.2), blur, solarize.
/// The first global view is always blurred, the second with p 0.1, a local one with p 0.5; the second is solarized with
/// p 0.2.
/// Bicubic; global views below 64 px: as PaperOptions says, for all views.
/// Source: Caron et al., DINO, 2021, arXiv:2104.14294, section 3.2, and the authors' code.
///
///     auto crops = views::dino({.size = 32, .local_size = 16, .locals = 4});
inline Views dino(const DinoCrops& o = {}) {
    require(o.locals >= 0, "dino: locals must be at least 0, got ", o.locals);
    require(o.local_min_scale > 0 && o.local_min_scale <= o.local_max_scale && o.local_max_scale <= 1,
            "dino: the local views' scales must lie above 0 and at most at 1, the smaller first, got ",
            o.local_min_scale, " and ", o.local_max_scale);
    Line first = detail::paper_line({.size = o.size, .min_scale = o.global_min_scale, .channels = o.channels},
                                    image::Filter::bicubic);
    first.jitter = {.brightness = 0.4, .contrast = 0.4, .saturation = 0.2, .hue = 0.1, .p = 0.8};
    Line second = first, local = first;
    if (o.size >= 64) first.blur.p = 1, second.blur.p = 0.1;
    second.solarize.p = 0.2;
    local.size = o.local_size;
    local.scale = {o.local_min_scale, o.local_max_scale};
    return from_lines("dino", {first, second}, std::vector<Line>(static_cast<std::size_t>(o.locals), local));
}

}  // namespace doppel::views

namespace doppel::methods {

/// What DINO leaves open. The defaults are the authors' for 100 epochs of a ViT-S/16 on ImageNet; dino_resnet() gives
/// those for a ResNet.
struct DinoOptions {
    int size = 224;                    ///< side of the global views in pixels
    int channels = 3;                  ///< of the images: 3 or 1
    std::int64_t epochs = 100;         ///< passes over the training images; paper: 100 to 800
    std::int64_t batch_size = 512;     ///< images a step; paper: 1024, code: 8 devices with 64 each
    double lr = 0;                     ///< highest learning rate; 0: base_lr · batch_size / 256
    double base_lr = 5e-4;             ///< AdamW 5e-4, SGD 0.03
    double final_lr = 1e-6;            ///< learning rate at the end
    double warmup = 0.1;               ///< share of the run in which the learning rate rises
    bool sgd = false;                  ///< SGD with momentum in place of AdamW
    double weight_decay = 0.04;        ///< at the start; on all but biases and normalization
    double final_weight_decay = 0.4;   ///< at the end, by half a cosine
    double temperature = 0.1;          ///< τ of the online network
    double target_temperature = 0.04;  ///< τ_t; paper's long runs: 0.07 after 30 epochs
    double warmup_temperature = 0.04;  ///< τ_t in the first epoch
    std::int64_t temperature_epochs = 0;  ///< epochs in which τ_t rises
    bool sinkhorn = false;             ///< Sinkhorn in place of the center (DINOv2)
    double center_momentum = 0.9;      ///< share of the old center
    double momentum = 0.996;           ///< m at the start, rises to 1 by half a cosine; batches of 256: 0.9995
    int locals = 8;                    ///< local views, ≥ 0
    int local_size = 0;                ///< side of the local views in pixels; 0: size · 3/7 to the nearest multiple of 16
    double global_min_scale = 0.4;     ///< smallest share of the image's area of a global view; without local ones 0.14
    double local_min_scale = 0.05;     ///< smallest share of a local view
    double local_max_scale = 0.4;      ///< largest share of a local view
    std::int64_t hidden = 2048;        ///< width of the head's hidden layers
    std::int64_t bottleneck = 256;     ///< width of the head's unit vectors
    std::int64_t out = 65536;          ///< K, classes
    bool head_norm = false;            ///< BatchNorm in the head
    bool trained_gain = false;         ///< the last layer's scale is trained; authors: for ViT-S in long runs
    double clip = 3;                   ///< longest gradient of each parameter by itself; 0: any
    double freeze_epochs = 1;          ///< epochs in which the last layer keeps its random weights
    double drop_path = 0.1;            ///< a ViT's, online network only
    bool sin_cos = false;              ///< a ViT's positions are fixed sines and cosines, not learned
    bool xavier = false;               ///< a ViT's weights are drawn as in MoCo v3, not N(0, 0.02²)
};

/// The authors' values for ResNet-50.
inline DinoOptions dino_resnet() {
    return {.base_lr = 0.03, .sgd = true, .weight_decay = 1e-4, .final_weight_decay = 1e-4, .global_min_scale = 0.14,
            .local_max_scale = 0.14};
}

/// The variants for images of about 32 px: smaller heads and batches, few classes and local views, a target that
/// follows quickly, for short runs on small sets. Some hundred steps are too few for the authors' settings: Sinkhorn
/// and BatchNorm in the head keep the classes in use from the start, a lower temperature lets the target say more than
/// it is told, and a ViT gets MoCo v3's weights and positions, from which it learns sooner.
inline DinoOptions dino_vit_small() {
    return {.size = 32, .batch_size = 64, .base_lr = 4e-3, .target_temperature = 0.02, .warmup_temperature = 0.02,
            .sinkhorn = true, .momentum = 0.99, .locals = 2, .global_min_scale = 0.4, .local_min_scale = 0.2,
            .local_max_scale = 0.5, .hidden = 512, .bottleneck = 64, .out = 64, .head_norm = true, .drop_path = 0,
            .sin_cos = true, .xavier = true};
}
inline DinoOptions dino_small() {
    DinoOptions o = dino_vit_small();
    o.weight_decay = o.final_weight_decay = 5e-4;
    return o;
}

template <class Field>
void describe(DinoOptions& o, Field&& field) {
    field("temperature", o.temperature, "temperature of the online network", Limits{0, 10, true});
    field("target-temperature", o.target_temperature, "temperature of the target", Limits{0, 10, true});
    field("warmup-temperature", o.warmup_temperature, "temperature of the target in the first epoch",
          Limits{0, 10, true});
    field("temperature-epochs", o.temperature_epochs, "epochs in which the target's temperature rises", Limits{0, 1e9});
    field("sinkhorn", o.sinkhorn, "Sinkhorn's iteration in place of the center (DINOv2)");
    field("center-momentum", o.center_momentum, "share of the old center", Limits{0, 1});
    field("momentum", o.momentum, "share of the old weights when the target follows, at the start", Limits{0, 1});
    field("locals", o.locals, "local views of an image", Limits{0, 64});
    field("local-size", o.local_size, "side of the local views in pixels; 0: about 3/7 of --size", Limits{0, 4096});
    field("global-min-scale", o.global_min_scale, "smallest share of the image's area that a global crop takes",
          Limits{0, 1, true});
    field("local-min-scale", o.local_min_scale, "smallest share that a local crop takes", Limits{0, 1, true});
    field("local-max-scale", o.local_max_scale, "largest share that a local crop takes", Limits{0, 1, true});
    field("hidden", o.hidden, "width of the head's hidden layers", Limits{1, 1 << 20});
    field("bottleneck", o.bottleneck, "width of the head's unit vectors", Limits{1, 1 << 20});
    field("out-dim", o.out, "classes that are invented", Limits{2, 1 << 20});
    field("head-norm", o.head_norm, "BatchNorm in the head");
    field("trained-gain", o.trained_gain, "train the scale of the head's last layer");
    field("clip", o.clip, "longest gradient of each parameter; 0: any", Limits{0, 1e6});
    field("freeze-epochs", o.freeze_epochs, "epochs in which the head's last layer is not trained", Limits{0, 1e6});
    field("drop-path", o.drop_path, "a ViT's rate of branches left out in the last block", Limits{0, 0.99});
    field("sin-cos", o.sin_cos, "a ViT's positions are fixed sines and cosines, not learned");
    field("xavier", o.xavier, "a ViT's weights are drawn as in MoCo v3 (Xavier), not N(0, 0.02^2)");
    field("base-lr", o.base_lr, "learning rate for 256 images a step", Limits{0, 100, true});
    field("final-lr", o.final_lr, "learning rate at the end", Limits{0, 100});
    field("sgd", o.sgd, "SGD in place of AdamW");
    field("warmup", o.warmup, "share of the run in which the learning rate rises", Limits{0, 1});
    field("weight-decay", o.weight_decay, "weight decay at the start, not on biases and normalization", Limits{0, 1});
    field("final-weight-decay", o.final_weight_decay, "weight decay at the end", Limits{0, 1});
}

/// DINO with `encoder`. One encoder pass for each size of views, one head pass over all. Trained by AdamW with a weight
/// decay that rises, or by SGD; gradients are clipped one by one, and the head's last layer waits for an epoch. The
/// result is the target network. A ViT's class token and positions decay, as in the authors' code.
/// Source: Caron, Touvron, Misra, Jégou, Mairal, Bojanowski, Joulin, "Emerging Properties in Self-Supervised Vision
/// Transformers", 2021, arXiv:2104.14294, section 3 and appendix, and the authors' code and its README.
///
///     auto preset = methods::dino(encoders::Vit{.kind = VitKind::s});
///     auto small = methods::dino(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::dino_small());
template <class Encoder>
auto dino(Encoder encoder, const DinoOptions& o = {}) {
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
        .passes = {.join_views = true, .join_heads = true}};
    const double lr = scaled_lr(o.lr, o.base_lr, o.batch_size);
    const double decay = o.weight_decay > 0 ? o.weight_decay : o.final_weight_decay;  // which parameters decay at all
    optim::AnyOptimizerSpec optimizer = optim::AdamW{.lr = lr, .weight_decay = decay};
    if (o.sgd) optimizer = optim::Sgd{.lr = lr, .weight_decay = decay};
    const int sixteenths = std::max(1, static_cast<int>(std::lround(o.size * 3 / 112.0)));
    const int local_size = o.local_size > 0 ? o.local_size : 16 * sixteenths;
    Preset<decltype(recipe)> preset{
        .name = "dino",
        .recipe = std::move(recipe),
        .views = views::dino({.size = o.size, .local_size = local_size, .locals = o.locals,
                              .global_min_scale = o.global_min_scale, .local_min_scale = o.local_min_scale,
                              .local_max_scale = o.local_max_scale, .channels = o.channels}),
        .optimizer = std::move(optimizer),
        .lr = schedules::WarmupCosine{.peak = lr, .warmup_fraction = o.warmup, .final = o.final_lr},
        .epochs = o.epochs,
        .batch_size = o.batch_size,
        .evaluate = Network::target,
        .clip = {.each = o.clip}};
    if (o.final_weight_decay != o.weight_decay)
        preset.weight_decay = schedules::Cosine{.from = o.weight_decay, .to = o.final_weight_decay};
    if (o.freeze_epochs > 0) preset.frozen = {{.matches = "projector.last_layer", .epochs = o.freeze_epochs}};
    return preset;
}

}  // namespace doppel::methods
