// SPDX-License-Identifier: Apache-2.0
// LeJEPA: views agree, and the embeddings' distribution is that of a standard normal.
#pragma once

#include <doppel/heads/mlp.hpp>
#include <doppel/losses/lejepa.hpp>
#include <doppel/methods/common.hpp>
#include <doppel/optim/adamw.hpp>
#include <doppel/views/lejepa.hpp>

namespace doppel::methods {

struct LejepaDefaults : Defaults {
    static constexpr double lr = 5e-4, base_lr = 5e-4, weight_decay = 5e-4, min_scale = 0.3, local_max_scale = 0.3;
};

/// Options of LeJEPA. Defaults: the authors' for ResNets; lejepa_vit holds those for ViTs.
struct LejepaOptions {
    Training<LejepaDefaults> train{};
    Crops<LejepaDefaults> crops{};
    LocalCrops<LejepaDefaults> locals{};
    double warmup = 1;               ///< epoch, as in the authors' example
    int globals = 2;
    double lambda = 0.05;            ///< authors' example: 0.02
    std::int64_t directions = 1024;  ///< authors' example: 256
    std::int64_t hidden = 2048;
    std::int64_t out = 128;

    static constexpr auto fields() {
        using O = LejepaOptions;
        return std::tuple(
            options::group(&O::train), options::group(&O::crops), options::group(&O::locals), warmup_field(&O::warmup),
            options::field(&O::globals, "globals", "global views of an image, which make the center", options::between(1, 1000)),
            options::field(&O::lambda, "lambda", "weight of SIGReg, which makes embeddings normal", options::fraction),
            options::field(&O::directions, "directions", "random directions per step", options::width), hidden_field(&O::hidden),
            out_field(&O::out));
    }
};

/// The authors' values for ViTs.
inline constexpr LejepaOptions lejepa_vit{.train = {.weight_decay = 5e-2}};
/// For images of about 32 px: smaller head and batch, fewer directions, a higher learning rate, and no local views.
inline constexpr LejepaOptions lejepa_small{.train = {.batch_size = 64, .lr = 4e-3},
                                            .crops = {.size = 32},
                                            .locals = {.count = 0},
                                            .warmup = 0.05,
                                            .directions = 256,
                                            .hidden = 512,
                                            .out = 64};

/// LeJEPA with `encoder`: one network without stop-gradient, a projector of three layers, trained by AdamW. One encoder pass
/// for each size of views, one pass of the projector over all.
/// Differs: local views have 96 px, a multiple of a ViT's patches of 16, the authors' 98 of patches of 14; the width of the
/// embeddings is the default of the authors' example, which is run with 16.
/// Source: Balestriero, LeCun, "LeJEPA: Provable and Scalable Self-Supervised Learning Without the Heuristics", 2025,
/// arXiv:2511.08544, and the authors' code.
///
///     auto preset = methods::lejepa(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::lejepa_small);
template <class Encoder>
auto lejepa(Encoder encoder, const LejepaOptions& o = {}) {
    Recipe recipe{.encoder = std::move(encoder),
                  .projector = heads::Mlp{.hidden = {o.hidden, o.hidden}, .out = o.out, .bias = heads::Bias::always},
                  .loss = losses::Lejepa{.lambda = o.lambda, .directions = o.directions, .globals = o.globals},
                  .layout = {.join_views = true, .join_heads = true}};
    return preset_of("lejepa", std::move(recipe), views::lejepa({.crops = o.crops,
                                .globals = o.globals,
                                .locals = o.locals.count,
                                .local_size = o.locals.size,
                                .local_min_scale = o.locals.min_scale,
                                .local_max_scale = o.locals.max_scale}),
                     optim::AdamW{.weight_decay = o.train.weight_decay, .decay_norm_and_bias = true},
                     warmup_cosine(o.train, o.warmup, 1e-3, 1e-2), o);
}

}  // namespace doppel::methods
