// SPDX-License-Identifier: Apache-2.0
// DirectCLR: SimCLR on a part of the encoder's features, without a projector.
#pragma once

#include <doppel/losses/directclr.hpp>
#include <doppel/methods/simclr.hpp>

namespace doppel::methods {

/// Options of DirectCLR. Defaults: the authors' number of features, SimCLR's training.
struct DirectclrOptions {
    Training<SimclrDefaults> train{};
    Crops<SimclrDefaults> crops{};
    Colors<SimclrDefaults> colors{};
    double warmup = 0.1;
    double temperature = 0.1;
    std::int64_t dims = 360;  ///< at most the encoder's features; authors: 360 of ResNet-50's 2048
    bool join_views = false;
    bool zero_init = true;

    static constexpr auto fields() {
        using O = DirectclrOptions;
        return std::tuple(options::group(&O::train), options::group(&O::crops), options::group(&O::colors),
                          warmup_field(&O::warmup), temperature_field(&O::temperature),
                          options::field(&O::dims, "dims", "features that the loss sees", options::width),
                          options::field(&O::join_views, "join-views", "both views in one BatchNorm batch"),
                          zero_init_field(&O::zero_init));
    }
};

/// For images of about 32 px: 32 features, a quarter of a narrow ResNet's 128.
inline constexpr DirectclrOptions directclr_small{.train = {.batch_size = 64, .lr = 0.3, .weight_decay = 5e-4},
                                                  .crops = {.size = 32, .min_scale = 0.2},
                                                  .colors = {.strength = 0.5, .blur = 0},
                                                  .warmup = 0.05,
                                                  .temperature = 0.2,
                                                  .dims = 32,
                                                  .zero_init = false};

/// DirectCLR with `encoder`, trained as SimCLR.
/// Differs: the authors train with LARS (0.3 for 256 images, no decay of biases and normalization) on BYOL's views.
/// Source: Jing, Vincent, LeCun, Tian, "Understanding Dimensional Collapse in Contrastive Self-supervised Learning", 2021,
/// arXiv:2110.09348, section 6, and the authors' code.
///
///     auto preset = methods::directclr(encoders::ResNet{.depth = 18}, methods::directclr_small);
template <class Encoder>
auto directclr(Encoder encoder, const DirectclrOptions& o = {}) {
    encoders::zero_init_residual(encoder, o.zero_init);
    Recipe recipe{.encoder = std::move(encoder),
                  .loss = losses::Directclr{.dims = o.dims, .temperature = o.temperature},
                  .layout = {.join_views = o.join_views}};
    return simclr_preset("directclr", std::move(recipe), o);
}

}  // namespace doppel::methods
