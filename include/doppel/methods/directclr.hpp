// SPDX-License-Identifier: Apache-2.0
// DirectCLR: SimCLR on a part of the encoder's features, without a projector.
#pragma once

#include <doppel/losses/directclr.hpp>
#include <doppel/methods/simclr.hpp>

namespace doppel::methods {

/// Options of DirectCLR. Defaults: the authors' number of features, SimCLR's training; directclr_lars holds the authors'.
struct DirectclrOptions {
    Training<SimclrDefaults> train{};
    Crops<SimclrDefaults> crops{};
    Colors<SimclrDefaults> colors{};
    double warmup = 10;
    Optimizer optimizer = Optimizer::sgd;
    double temperature = 0.1;
    std::int64_t dims = 360;  ///< at most the encoder's features; authors: 360 of ResNet-50's 2048
    bool cross_view = false;  ///< the authors' code
    bool join_views = false;
    bool zero_init = true;

    static constexpr auto fields() {
        using O = DirectclrOptions;
        return std::tuple(options::group(&O::train), options::group(&O::crops), options::group(&O::colors),
                          warmup_field(&O::warmup), optimizer_field(&O::optimizer, "sgd or lars"), temperature_field(&O::temperature),
                          options::field(&O::dims, "dims", "features that the loss sees", options::width),
                          options::field(&O::cross_view, "cross-view", "negatives are the other view's alone"),
                          join_views_field(&O::join_views), zero_init_field(&O::zero_init));
    }
};

/// The authors' training: LARS, batches of 4096, and negatives of the other view alone.
inline constexpr DirectclrOptions directclr_lars{.train = {.batch_size = 4096, .base_lr = 0.3, .weight_decay = 1e-6},
                                                 .optimizer = Optimizer::lars,
                                                 .cross_view = true};
/// For images of about 32 px: 32 features, a quarter of a narrow ResNet's 128.
inline constexpr DirectclrOptions directclr_small{.train = {.batch_size = 64, .lr = 0.3, .weight_decay = 5e-4},
                                                  .crops = {.size = 32, .min_scale = 0.2},
                                                  .colors = {.strength = 0.5, .blur = 0},
                                                  .warmup = 0.05,
                                                  .temperature = 0.2,
                                                  .dims = 32,
                                                  .zero_init = false};

/// DirectCLR with `encoder`, trained as SimCLR.
/// Differs: the authors' views are BYOL's: preset.views = views::byol({.pillow_blur = true}).
/// Source: Jing, Vincent, LeCun, Tian, "Understanding Dimensional Collapse in Contrastive Self-supervised Learning", 2021,
/// arXiv:2110.09348, section 6, and the authors' code.
///
///     auto preset = methods::directclr(encoders::ResNet{.depth = 18}, methods::directclr_small);
template <class Encoder>
auto directclr(Encoder encoder, const DirectclrOptions& o = {}) {
    encoders::zero_init_residual(encoder, o.zero_init);
    Recipe recipe{.encoder = std::move(encoder),
                  .loss = losses::Directclr{.dims = o.dims, .temperature = o.temperature, .cross_view = o.cross_view},
                  .layout = {.join_views = o.join_views}};
    const bool lars = o.optimizer == Optimizer::lars;
    return simclr_preset("directclr", std::move(recipe), o, optim::Lars::Rule::byol, lars ? 1e-3 : 0);
}

}  // namespace doppel::methods
