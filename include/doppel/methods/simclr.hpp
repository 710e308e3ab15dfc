// SPDX-License-Identifier: Apache-2.0
// SimCLR: two views of an image must find each other among all views of the batch.
#pragma once

#include <doppel/encoders/adjust.hpp>
#include <doppel/heads/mlp.hpp>
#include <doppel/losses/nt_xent.hpp>
#include <doppel/methods/common.hpp>
#include <doppel/optim/sgd.hpp>
#include <doppel/views/simclr.hpp>

#include <cstdint>
#include <string>
#include <utility>

namespace doppel::methods {

struct SimclrDefaults : Defaults {
    static constexpr double base_lr = 0.4, strength = 1, blur = 0.5;
};

/// Strength of SimCLR's color jitter and probability of its blur.
template <class D>
struct Colors {
    double strength = D::strength;
    double blur = D::blur;

    static constexpr auto fields() {
        return std::tuple(options::field(&Colors::strength, "strength", "strength of the color jitter", options::between(0, 2.5)),
                          options::field(&Colors::blur, "blur", "probability of blur", options::fraction));
    }
};

/// Options of SimCLR. Defaults: photographs at 224 px in batches of 256.
struct SimclrOptions {
    Training<SimclrDefaults> train{};  ///< paper: 100 to 1000 epochs, batches of 4096 with LARS, 512 for CIFAR-10
    Crops<SimclrDefaults> crops{};
    Colors<SimclrDefaults> colors{};   ///< CIFAR-10: strength 0.5, no blur
    double warmup = 0.1;
    double temperature = 0.1;          ///< paper: 0.1 for ImageNet, 0.5 for CIFAR-10
    std::int64_t hidden = 2048;
    std::int64_t out = 128;
    bool join_views = false;           ///< the authors' code joins them; apart learns faster
    bool zero_init = true;

    static constexpr auto fields() {
        using O = SimclrOptions;
        return std::tuple(options::group(&O::train), options::group(&O::crops), options::group(&O::colors),
                          warmup_field(&O::warmup), temperature_field(&O::temperature), hidden_field(&O::hidden),
                          out_field(&O::out),
                          options::field(&O::join_views, "join-views", "both views in one BatchNorm batch"),
                          zero_init_field(&O::zero_init));
    }
};

/// For images of about 32 px: weaker jitter and no blur as in the paper's appendix B.9; the small batch and projector, the
/// larger crops and blocks that do not start as the identity make short runs on small sets learn faster.
inline constexpr SimclrOptions simclr_small{.train = {.batch_size = 128, .weight_decay = 5e-4},
                                            .crops = {.size = 32, .min_scale = 0.2},
                                            .colors = {.strength = 0.5, .blur = 0},
                                            .warmup = 0.05,
                                            .temperature = 0.2,
                                            .hidden = 256,
                                            .zero_init = false};

/// SimCLR's views for options that have crops and colors.
template <class Options>
views::SimclrPipeline simclr_pipeline(const Options& o, image::Filter large = image::Filter::bicubic) {
    return {.size = o.crops.size,
            .strength = o.colors.strength,
            .blur = o.colors.blur,
            .scale = {o.crops.min_scale, 1},
            .filter = o.crops.small() ? image::Filter::bilinear : large,
            .normalize = o.crops.small() ? augment::cifar10_normalize : augment::imagenet_normalize,
            .channels = o.crops.channels};
}

/// A recipe trained as SimCLR is: what its variants share, so that runs compare a slot and nothing else.
template <class R, class Options>
Preset<R> simclr_preset(std::string name, R recipe, const Options& o) {
    return preset_of(std::move(name), std::move(recipe), views::simclr(simclr_pipeline(o)),
                     optim::Sgd{.momentum = 0.9, .weight_decay = o.train.weight_decay}, warmup_cosine(o.train, o.warmup), o);
}

/// SimCLR's recipe: encoder, a projector of two layers, NT-Xent.
template <class Encoder, class Options>
auto simclr_recipe(Encoder encoder, const Options& o) {
    encoders::zero_init_residual(encoder, o.zero_init);
    return Recipe{.encoder = std::move(encoder),
                  .projector = heads::Mlp{.hidden = {o.hidden}, .out = o.out},
                  .loss = losses::NtXent{.temperature = o.temperature},
                  .layout = {.join_views = o.join_views}};
}

/// SimCLR with `encoder`.
/// Differs: SGD with momentum in place of LARS, which batches up to about 1024 do not need.
/// Source: Chen, Kornblith, Norouzi, Hinton, 2020, arXiv:2002.05709.
///
///     auto preset = methods::simclr(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::simclr_small);
template <class Encoder>
auto simclr(Encoder encoder, const SimclrOptions& o = {}) {
    return simclr_preset("simclr", simclr_recipe(std::move(encoder), o), o);
}

}  // namespace doppel::methods
