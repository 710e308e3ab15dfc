// SPDX-License-Identifier: Apache-2.0
// BYOL: predict what a slowly moving copy of the network sees in another view; no negatives.
#pragma once

#include <doppel/encoders/adjust.hpp>
#include <doppel/heads/mlp.hpp>
#include <doppel/losses/byol.hpp>
#include <doppel/methods/common.hpp>
#include <doppel/optim/lars.hpp>
#include <doppel/targets/ema.hpp>
#include <doppel/views/byol.hpp>

namespace doppel::methods {

struct ByolDefaults : Defaults {
    static constexpr double base_lr = 0.45, weight_decay = 1e-6;
};

/// Options of BYOL. Defaults: the paper's for 100 epochs of ImageNet.
struct ByolOptions {
    Training<ByolDefaults> train{};  ///< paper: batches of 4096; base_lr 0.3 for 300 epochs, 0.2 and decay 1.5e-6 for 1000
    Crops<ByolDefaults> crops{};
    double warmup = 10;
    double momentum = 0.99;          ///< paper: 0.996 for 1000 epochs
    std::int64_t hidden = 4096;
    std::int64_t out = 256;
    bool zero_init = true;           ///< the released code; the paper's runs: not

    static constexpr auto fields() {
        using O = ByolOptions;
        return std::tuple(options::group(&O::train), options::group(&O::crops), warmup_field(&O::warmup),
                          target_momentum_field(&O::momentum),
                          hidden_field(&O::hidden, "width of the hidden layers of projector and predictor"), out_field(&O::out),
                          zero_init_field(&O::zero_init));
    }
};

/// For images of about 32 px: smaller heads and batches, a higher learning rate and a target that follows quickly, for short
/// runs (some 1,000 steps) on small sets; longer runs want a momentum nearer to 1.
inline constexpr ByolOptions byol_small{.train = {.batch_size = 64, .base_lr = 2},
                                        .crops = {.size = 32, .min_scale = 0.2},
                                        .warmup = 0.1,
                                        .momentum = 0.9,
                                        .hidden = 512,
                                        .out = 128,
                                        .zero_init = false};

/// BYOL with `encoder`, trained by LARS.
/// Differs: the target starts as a copy of the online network, in the authors' code as a network of its own.
/// Source: Grill et al., "Bootstrap your own latent", 2020, arXiv:2006.07733, section 3 and appendix, and the authors' code.
///
///     auto preset = methods::byol(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::byol_small);
template <class Encoder>
auto byol(Encoder encoder, const ByolOptions& o = {}) {
    encoders::zero_init_residual(encoder, o.zero_init);
    const heads::Mlp head{.hidden = {o.hidden}, .out = o.out, .bias = heads::Bias::hidden_only};
    Recipe recipe{.encoder = std::move(encoder),
                  .projector = head,
                  .predictor = head,
                  .target = targets::Ema{.schedule = schedules::Cosine{.from = o.momentum, .to = 1},
                                         .timing = targets::EmaTiming::after_step},
                  .loss = losses::Byol{}};
    return preset_of("byol", std::move(recipe), views::byol(o.crops), optim::Lars{.weight_decay = o.train.weight_decay},
                     warmup_cosine(o.train, o.warmup), o);
}

}  // namespace doppel::methods
