// SPDX-License-Identifier: Apache-2.0
// TiCo: views agree, and embeddings keep away from the directions of past ones; a momentum target sees the second view.
#pragma once

#include <doppel/encoders/adjust.hpp>
#include <doppel/heads/mlp.hpp>
#include <doppel/losses/tico.hpp>
#include <doppel/methods/common.hpp>
#include <doppel/optim/lars.hpp>
#include <doppel/targets/ema.hpp>
#include <doppel/views/byol.hpp>

namespace doppel::methods {

struct TicoDefaults : Defaults {
    static constexpr double base_lr = 0.2, weight_decay = 1.5e-6;
};

/// Options of TiCo. Defaults: lightly's training for ImageNet, whose rates are BYOL's for 1000 epochs.
struct TicoOptions {
    Training<TicoDefaults> train{};
    Crops<TicoDefaults> crops{};
    double warmup = 0.1;     ///< 10 epochs
    double momentum = 0.99;
    double beta = 0.9;
    double rho = 8;
    std::int64_t hidden = 4096;
    std::int64_t out = 256;
    bool zero_init = true;

    static constexpr auto fields() {
        using O = TicoOptions;
        return std::tuple(options::group(&O::train), options::group(&O::crops), warmup_field(&O::warmup),
                          momentum_field(&O::momentum, "EMA momentum of the target at the start; rises to 1 by half a cosine"),
                          options::field(&O::beta, "beta", "share of the old covariance when it is updated", options::fraction),
                          options::field(&O::rho, "rho", "weight of the covariance term", options::between(0, 1000)),
                          hidden_field(&O::hidden), out_field(&O::out), zero_init_field(&O::zero_init));
    }
};

/// For images of about 32 px: a smaller head and batch, a higher learning rate, a target that follows quickly.
inline constexpr TicoOptions tico_small{.train = {.batch_size = 64, .base_lr = 8},
                                        .crops = {.size = 32, .min_scale = 0.2},
                                        .momentum = 0.9,
                                        .hidden = 512,
                                        .out = 128,
                                        .zero_init = false};

/// TiCo with `encoder`: the online branch sees one view, an EMA target the other; no predictor. Views are BYOL's; trained by
/// LARS.
/// Source: Zhu, Moraes, Karakulak, Sobol, Canziani, LeCun, "TiCo", 2022, arXiv:2206.10698, section 4, and lightly's
/// projection head, loss and ImageNet benchmark.
///
///     auto preset = methods::tico(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::tico_small);
template <class Encoder>
auto tico(Encoder encoder, const TicoOptions& o = {}) {
    encoders::zero_init_residual(encoder, o.zero_init);
    Recipe recipe{.encoder = std::move(encoder),
                  .projector = heads::Mlp{.hidden = {o.hidden}, .out = o.out},
                  .target = targets::Ema{.schedule = schedules::Cosine{.from = o.momentum, .to = 1},
                                         .timing = targets::EmaTiming::after_step},
                  .loss = losses::Tico{.beta = o.beta, .rho = o.rho}};
    auto views = views::byol(o.crops);
    views.name = "tico";
    return preset_of("tico", std::move(recipe), std::move(views),
                     optim::Lars{.weight_decay = o.train.weight_decay},
                     warmup_cosine(o.train, o.warmup), o);
}

}  // namespace doppel::methods
