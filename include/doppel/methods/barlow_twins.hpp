// SPDX-License-Identifier: Apache-2.0
// Barlow Twins: two views' embeddings correlate dimension by dimension; no negatives, no predictor, no target network.
#pragma once

#include <doppel/encoders/adjust.hpp>
#include <doppel/heads/mlp.hpp>
#include <doppel/losses/barlow_twins.hpp>
#include <doppel/methods/common.hpp>
#include <doppel/optim/lars.hpp>
#include <doppel/optim/sgd.hpp>
#include <doppel/views/byol.hpp>

namespace doppel::methods {

struct BarlowTwinsDefaults : Defaults {
    static constexpr double base_lr = 0.2, weight_decay = 1e-6;
    static constexpr bool pillow_blur = true;
};

/// Options of Barlow Twins. Defaults: the authors' for ImageNet.
struct BarlowTwinsOptions {
    Training<BarlowTwinsDefaults> train{};  ///< paper: 1000 epochs, batches of 2048; authors' best base_lr for 256: 0.4
    Crops<BarlowTwinsDefaults> crops{};
    double warmup = 10;
    Optimizer optimizer = Optimizer::lars;  ///< or sgd
    double bias_lr = 0.024;                 ///< paper: 0.0048 / 0.2
    double lambda = 0.0051;
    double scale = 1;
    std::int64_t hidden = 8192;
    std::int64_t out = 8192;
    bool zero_init = true;

    static constexpr auto fields() {
        using O = BarlowTwinsOptions;
        return std::tuple(options::group(&O::train), options::group(&O::crops), warmup_field(&O::warmup),
                          optimizer_field(&O::optimizer),
                          options::field(&O::bias_lr, "bias-lr",
                                         "LARS: learning rate of biases and normalization, as a share of the weights'",
                                         options::between(0, 100)),
                          options::field(&O::lambda, "lambda", "weight of the correlations off the diagonal", options::between(0, 100)),
                          options::field(&O::scale, "loss-scale", "factor of the loss", options::above(0, 1000)),
                          hidden_field(&O::hidden), out_field(&O::out), zero_init_field(&O::zero_init));
    }
};

/// For images of about 32 px: a smaller head and batch, a higher learning rate, for short runs on small sets.
inline constexpr BarlowTwinsOptions barlow_twins_small{.train = {.batch_size = 64, .base_lr = 8, .weight_decay = 5e-4},
                                                       .crops = {.size = 32, .min_scale = 0.2},
                                                       .warmup = 0.05,
                                                       .hidden = 512,
                                                       .out = 512,
                                                       .zero_init = false};

/// Barlow Twins with `encoder`: a projector of three layers without biases, trained by LARS with a learning rate of their own
/// for biases and normalization, or by SGD.
/// Source: Zbontar, Jing, Misra, LeCun, Deny, "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", 2021,
/// arXiv:2103.03230, section 2 and appendix, and the authors' code.
///
///     auto preset = methods::barlow_twins(encoders::ResNet{.depth = 50}, {.train = {.batch_size = 2048}, .warmup = 0.01});
template <class Encoder>
auto barlow_twins(Encoder encoder, const BarlowTwinsOptions& o = {}) {
    encoders::zero_init_residual(encoder, o.zero_init);
    Recipe recipe{.encoder = std::move(encoder),
                  .projector = heads::Mlp{.hidden = {o.hidden, o.hidden}, .out = o.out, .bias = heads::Bias::never},
                  .loss = losses::BarlowTwins{.lambda = o.lambda, .scale = o.scale}};
    const optim::Rules biases{{.shapes = optim::Shapes::norm_and_bias, .lr_scale = o.bias_lr}};
    auto optimizer = optimizer_of("barlow_twins", o.optimizer,
                                  {{Optimizer::lars, optim::Lars{.weight_decay = o.train.weight_decay, .except = biases}},
                                   {Optimizer::sgd, optim::Sgd{.weight_decay = o.train.weight_decay}}});
    return preset_of("barlow_twins", std::move(recipe), views::byol(o.crops, "barlow_twins"), std::move(optimizer),
                     warmup_cosine(o.train, o.warmup, 1e-3), o);
}

}  // namespace doppel::methods
