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

/// Options of TiCo. Defaults: the paper's loss; schedule, learning rate, decay and momentum of lightly's ImageNet benchmark,
/// whose rate and decay are BYOL's for 1000 epochs, and whose momentum is BYOL's for 100 and 300.
struct TicoOptions {
    Training<TicoDefaults> train{};
    Crops<TicoDefaults> crops{};
    double warmup = 10;
    double momentum = 0.99;
    double beta = 0.9;
    double rho = 8;          ///< the paper's; lightly: 20
    std::int64_t hidden = 4096;
    std::int64_t out = 256;
    bool zero_init = true;   ///< as BYOL's code; lightly: not

    static constexpr auto fields() {
        using O = TicoOptions;
        return std::tuple(options::group(&O::train), options::group(&O::crops), warmup_field(&O::warmup),
                          target_momentum_field(&O::momentum),
                          options::field(&O::beta, "beta", "share of the old covariance when it is updated", options::fraction),
                          options::field(&O::rho, "rho", "weight of the covariance term", options::between(0, 1000)),
                          hidden_field(&O::hidden), out_field(&O::out), zero_init_field(&O::zero_init));
    }
};

/// For images of about 32 px: a smaller head and batch, a higher learning rate, a target that follows quickly.
inline constexpr TicoOptions tico_small{.train = {.batch_size = 64, .base_lr = 8},
                                        .crops = {.size = 32, .min_scale = 0.2},
                                        .warmup = 0.1,
                                        .momentum = 0.9,
                                        .hidden = 512,
                                        .out = 128,
                                        .zero_init = false};

/// TiCo with `encoder`: the online branch sees one view, an EMA target the other; no predictor. Views are BYOL's; trained by
/// LARS.
/// Differs: lightly updates the target before the forward pass, and its LARS is LARC without biases and normalization.
/// Source: Zhu, Moraes, Karakulak, Sobol, Canziani, LeCun, "TiCo", 2022, arXiv:2206.10698, section 4, and lightly's
/// ImageNet benchmark. There is no authors' code.
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
    return preset_of("tico", std::move(recipe), views::byol(o.crops, "tico"),
                     optim::Lars{.weight_decay = o.train.weight_decay}, warmup_cosine(o.train, o.warmup), o);
}

}  // namespace doppel::methods
