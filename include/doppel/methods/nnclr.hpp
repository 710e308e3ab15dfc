// SPDX-License-Identifier: Apache-2.0
// NNCLR: the nearest neighbor of one view in a support set is the positive of the other view's prediction.
#pragma once

#include <doppel/losses/nnclr.hpp>
#include <doppel/methods/simclr.hpp>
#include <doppel/queues/support_set.hpp>
#include <doppel/targets/stop_gradient.hpp>

namespace doppel::methods {

/// Options of NNCLR. Defaults: the paper's heads and support set, SimCLR's training; nnclr_lars holds the paper's.
struct NnclrOptions {
    Training<SimclrDefaults> train{};
    Crops<SimclrDefaults> crops{};
    Colors<SimclrDefaults> colors{};
    double warmup = 10;
    Optimizer optimizer = Optimizer::sgd;
    double temperature = 0.1;
    std::int64_t hidden = 2048;
    std::int64_t out = 256;
    std::int64_t predictor = 4096;
    std::int64_t queue = 98304;
    bool join_views = false;
    bool zero_init = true;

    static constexpr auto fields() {
        using O = NnclrOptions;
        return std::tuple(options::group(&O::train), options::group(&O::crops), options::group(&O::colors),
                          warmup_field(&O::warmup), optimizer_field(&O::optimizer, "sgd or lars"),
                          temperature_field(&O::temperature), hidden_field(&O::hidden), out_field(&O::out),
                          options::field(&O::predictor, "predictor", "width of the predictor's hidden layer", options::width),
                          options::field(&O::queue, "queue", "embeddings in the support set", options::between(1, 1e9)),
                          join_views_field(&O::join_views), zero_init_field(&O::zero_init));
    }
};

/// The paper's training: LARS, batches of 4096, 1000 epochs.
inline constexpr NnclrOptions nnclr_lars{.train = {.epochs = 1000, .batch_size = 4096, .base_lr = 0.3, .weight_decay = 1e-6},
                                         .optimizer = Optimizer::lars};
/// For images of about 32 px: smaller heads and support set.
inline constexpr NnclrOptions nnclr_small{.train = {.batch_size = 64, .lr = 0.1, .weight_decay = 5e-4},
                                          .crops = {.size = 32, .min_scale = 0.2},
                                          .colors = {.strength = 0.5, .blur = 0},
                                          .warmup = 0.05,
                                          .temperature = 0.2,
                                          .hidden = 256,
                                          .out = 128,
                                          .predictor = 512,
                                          .queue = 1000,
                                          .zero_init = false};

/// NNCLR with `encoder`, trained as SimCLR: a projector of three layers, each with BatchNorm, and a predictor of two.
/// Source: Dwibedi et al., "With a Little Help from My Friends", 2021, arXiv:2104.14548, section 4.1.
///
///     auto preset = methods::nnclr(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::nnclr_small);
template <class Encoder>
auto nnclr(Encoder encoder, const NnclrOptions& o = {}) {
    encoders::zero_init_residual(encoder, o.zero_init);
    Recipe recipe{.encoder = std::move(encoder),
                  .projector = heads::Mlp{.hidden = {o.hidden, o.hidden}, .out = o.out, .last_norm = heads::LastNorm::affine},
                  .predictor = heads::Mlp{.hidden = {o.predictor}, .out = o.out},
                  .target = targets::StopGradient{},
                  .queue = queues::SupportSet{.capacity = o.queue},
                  .loss = losses::Nnclr{.temperature = o.temperature},
                  .layout = {.join_views = o.join_views}};
    return simclr_preset("nnclr", std::move(recipe), o);
}

}  // namespace doppel::methods
