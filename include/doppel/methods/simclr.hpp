// SPDX-License-Identifier: Apache-2.0
// SimCLR: two views of an image must find each other among all views of the batch.
#pragma once

#include <doppel/encoders/adjust.hpp>
#include <doppel/heads/mlp.hpp>
#include <doppel/losses/nt_xent.hpp>
#include <doppel/methods/common.hpp>
#include <doppel/optim/lars.hpp>
#include <doppel/optim/sgd.hpp>
#include <doppel/views/simclr.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel::methods {

/// Where a projector has BatchNorm.
enum class ProjectorNorm { none, hidden, all };
constexpr std::array<std::string_view, 3> option_names(ProjectorNorm) { return {"none", "hidden", "all"}; }

struct SimclrDefaults : Defaults {
    static constexpr double base_lr = 0.4, strength = 1, blur = 0.5;
    static constexpr bool zero_init = true;
    static constexpr ProjectorNorm norm = ProjectorNorm::all;
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

/// Options of SimCLR and, with other defaults, of its variants.
template <class D>
struct SimclrOptionsOf {
    Training<D> train{};
    Crops<D> crops{};
    Colors<D> colors{};               ///< CIFAR-10: strength 0.5, no blur
    double warmup = 10;
    Optimizer optimizer = Optimizer::sgd;
    double temperature = 0.1;         ///< paper: 0.1 for ImageNet, 0.5 for CIFAR-10
    ProjectorNorm norm = D::norm;     ///< the authors' code; as the paper describes the projector: hidden
    std::int64_t hidden = 2048;
    std::int64_t out = 128;
    bool join_views = false;          ///< the authors' code joins them; apart learns faster
    bool zero_init = D::zero_init;

    static constexpr auto fields() {
        using O = SimclrOptionsOf;
        return std::tuple(options::group(&O::train), options::group(&O::crops), options::group(&O::colors),
                          warmup_field(&O::warmup), optimizer_field(&O::optimizer, "sgd or lars"), temperature_field(&O::temperature),
                          options::field(&O::norm, "projector-norm",
                                         "layers of the projector with BatchNorm: none, hidden, or all, the last without offset"),
                          hidden_field(&O::hidden), out_field(&O::out), join_views_field(&O::join_views),
                          zero_init_field(&O::zero_init));
    }
};

/// Options of SimCLR. Defaults: photographs at 224 px in batches of 256, trained by SGD; simclr_lars holds the authors'.
using SimclrOptions = SimclrOptionsOf<SimclrDefaults>;

/// The authors' values for ImageNet: LARS and batches of 4096. Paper: 100 to 1000 epochs.
template <class Options>
constexpr Options simclr_lars_values() {
    return {.train = {.batch_size = 4096, .base_lr = 0.3, .weight_decay = 1e-6}, .optimizer = Optimizer::lars, .join_views = true};
}
inline constexpr SimclrOptions simclr_lars = simclr_lars_values<SimclrOptions>();

/// For images of about 32 px: weaker jitter and no blur as in the paper's appendix B.9; the small batch and projector, the
/// larger crops, blocks that do not start as the identity and no last BatchNorm make short runs on small sets learn faster.
template <class Options>
constexpr Options simclr_small_values() {
    return {.train = {.batch_size = 128, .weight_decay = 5e-4},
            .crops = {.size = 32, .min_scale = 0.2},
            .colors = {.strength = 0.5, .blur = 0},
            .warmup = 0.05,
            .temperature = 0.2,
            .norm = ProjectorNorm::hidden,
            .hidden = 256,
            .zero_init = false};
}
inline constexpr SimclrOptions simclr_small = simclr_small_values<SimclrOptions>();

/// The same with smaller batches and a higher learning rate, for SimCLR's variants: without them runs of some hundred steps
/// learn much less.
template <class Options>
constexpr Options simclr_short_values() {
    auto o = simclr_small_values<Options>();
    o.train.batch_size = 64;
    o.train.lr = 0.3;
    return o;
}

/// SimCLR's views for options that have crops and colors.
template <class Options>
views::SimclrPipeline simclr_pipeline(const Options& o, image::Filter large = image::Filter::bicubic) {
    return {.size = o.crops.size,
            .strength = o.colors.strength,
            .blur = o.colors.blur,
            .blur_kind = o.crops.pillow_blur ? image::Blur::boxes : image::Blur::gaussian,
            .scale = {o.crops.min_scale, 1},
            .filter = o.crops.small() ? image::Filter::bilinear : large,
            .normalize = o.crops.small() ? augment::cifar10_normalize : augment::imagenet_normalize,
            .channels = o.crops.channels};
}

/// A recipe trained as SimCLR is: what its variants share, so that runs compare a slot and nothing else. `rule` is the form
/// of LARS, `final` the last learning rate as a share of the peak.
template <class R, class Options>
Preset<R> simclr_preset(std::string name, R recipe, const Options& o, optim::Lars::Rule rule = optim::Lars::Rule::simclr,
                        double final = 0) {
    auto optimizer = optimizer_of(name, o.optimizer,
                                  {{Optimizer::sgd, optim::Sgd{.momentum = 0.9, .weight_decay = o.train.weight_decay}},
                                   {Optimizer::lars, optim::Lars{.weight_decay = o.train.weight_decay, .rule = rule}}});
    return preset_of(std::move(name), std::move(recipe), views::simclr(simclr_pipeline(o)), std::move(optimizer),
                     warmup_cosine(o.train, o.warmup, final), o);
}

/// SimCLR's projector.
template <class Options>
heads::Mlp simclr_projector(const Options& o, std::size_t hidden_layers = 1) {
    return {.hidden = std::vector<std::int64_t>(hidden_layers, o.hidden),
            .out = o.out,
            .norm = o.norm != ProjectorNorm::none,
            .last_norm = o.norm == ProjectorNorm::all ? heads::LastNorm::scale_only : heads::LastNorm::none};
}

/// SimCLR's recipe: encoder, a projector of two layers, NT-Xent.
template <class Encoder, class Options>
auto simclr_recipe(Encoder encoder, const Options& o) {
    encoders::zero_init_residual(encoder, o.zero_init);
    return Recipe{.encoder = std::move(encoder),
                  .projector = simclr_projector(o),
                  .loss = losses::NtXent{.temperature = o.temperature},
                  .layout = {.join_views = o.join_views}};
}

/// SimCLR with `encoder`. As in the authors' code, the projector's last layer has no bias but a BatchNorm with a scale and no
/// offset; lightly's has an offset, too. The paper describes the projector without it: ProjectorNorm::hidden.
/// Differs: SGD with momentum unless LARS is chosen, which batches up to about 1024 do not need.
/// Source: Chen, Kornblith, Norouzi, Hinton, 2020, arXiv:2002.05709, section 3 and appendix B, and the authors' code.
///
///     auto preset = methods::simclr(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::simclr_small);
template <class Encoder>
auto simclr(Encoder encoder, const SimclrOptions& o = {}) {
    return simclr_preset("simclr", simclr_recipe(std::move(encoder), o), o);
}

}  // namespace doppel::methods
