// SPDX-License-Identifier: Apache-2.0
// VICReg: views agree, dimensions vary and do not vary together; no negatives, no predictor, no target network.
#pragma once

#include <doppel/losses/vicreg.hpp>
#include <doppel/methods/barlow_twins.hpp>

namespace doppel::methods {

/// Options of VICReg. Defaults: the authors' for ImageNet.
struct VicregOptions {
    Training<BarlowTwinsDefaults> train{};  ///< paper: 1000 epochs, batches of 2048; authors for 100 epochs: base_lr 0.3
    Crops<BarlowTwinsDefaults> crops{};
    double warmup = 10;
    Optimizer optimizer = Optimizer::lars;  ///< or sgd
    double invariance = 25;                 ///< λ
    double variance = 25;                   ///< μ
    double covariance = 1;                  ///< ν
    bool sum_variance = false;              ///< the paper; the authors' code takes the mean
    std::int64_t hidden = 8192;
    std::int64_t out = 8192;
    bool zero_init = true;

    static constexpr auto fields() {
        using O = VicregOptions;
        constexpr auto weight = options::between(0, 1000);
        return std::tuple(options::group(&O::train), options::group(&O::crops), warmup_field(&O::warmup),
                          optimizer_field(&O::optimizer),
                          options::field(&O::invariance, "invariance", "weight of the distance between views", weight),
                          options::field(&O::variance, "variance", "weight of the hinge on each dimension's deviation", weight),
                          options::field(&O::covariance, "covariance", "weight of the covariances", weight),
                          options::field(&O::sum_variance, "sum-variance", "sum of the two views' hinges, not their mean"),
                          hidden_field(&O::hidden), out_field(&O::out), zero_init_field(&O::zero_init));
    }
};

/// For images of about 32 px: a smaller head and batch, a higher learning rate, more weight on the covariances, for short
/// runs on small sets.
inline constexpr VicregOptions vicreg_small{.train = {.batch_size = 64, .base_lr = 8, .weight_decay = 5e-4},
                                            .crops = {.size = 32, .min_scale = 0.2},
                                            .warmup = 0.05,
                                            .covariance = 4,
                                            .hidden = 512,
                                            .out = 512,
                                            .zero_init = false};

/// VICReg with `encoder`: a projector of three layers, the last without bias, trained by LARS or SGD. The views are those
/// of the authors' code, which are BYOL's.
/// Source: Bardes, Ponce, LeCun, "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning",
/// 2021, arXiv:2105.04906, section 4 and appendix, and the authors' code.
///
///     auto preset = methods::vicreg(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::vicreg_small);
template <class Encoder>
auto vicreg(Encoder encoder, const VicregOptions& o = {}) {
    encoders::zero_init_residual(encoder, o.zero_init);
    using Convention = losses::Vicreg::Convention;
    Recipe recipe{.encoder = std::move(encoder),
                  .projector = heads::Mlp{.hidden = {o.hidden, o.hidden}, .out = o.out, .bias = heads::Bias::hidden_only},
                  .loss = losses::Vicreg{.invariance = o.invariance,
                                         .variance = o.variance,
                                         .covariance = o.covariance,
                                         .convention = o.sum_variance ? Convention::paper : Convention::code}};
    auto optimizer = optimizer_of("vicreg", o.optimizer,
                                  {{Optimizer::lars, optim::Lars{.weight_decay = o.train.weight_decay}},
                                   {Optimizer::sgd, optim::Sgd{.weight_decay = o.train.weight_decay}}});
    return preset_of("vicreg", std::move(recipe), views::byol(o.crops, "vicreg"), std::move(optimizer),
                     warmup_cosine(o.train, o.warmup, 1e-3), o);
}

}  // namespace doppel::methods
