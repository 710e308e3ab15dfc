// SPDX-License-Identifier: Apache-2.0
// SimSiam: predict another view's embedding without negatives, queue or momentum encoder; a stop-gradient prevents collapse.
#pragma once

#include <doppel/encoders/adjust.hpp>
#include <doppel/heads/mlp.hpp>
#include <doppel/losses/simsiam.hpp>
#include <doppel/methods/common.hpp>
#include <doppel/optim/sgd.hpp>
#include <doppel/targets/stop_gradient.hpp>
#include <doppel/views/moco_v2.hpp>

namespace doppel::methods {

struct SimsiamDefaults : Defaults {
    static constexpr std::int64_t batch_size = 512;
    static constexpr double base_lr = 0.05, min_scale = 0.2;
    static constexpr bool pillow_blur = true;
};

/// Options of SimSiam. Defaults: the paper's for ImageNet.
struct SimsiamOptions {
    Training<SimsiamDefaults> train{};  ///< paper: 100 to 800 epochs; CIFAR-10: base_lr 0.03, decay 5e-4
    Crops<SimsiamDefaults> crops{};
    double warmup = 0;
    std::int64_t layers = 3;            ///< CIFAR-10: 2
    std::int64_t out = 2048;
    std::int64_t bottleneck = 512;
    bool fix_predictor_lr = true;
    bool zero_init = true;

    static constexpr auto fields() {
        using O = SimsiamOptions;
        return std::tuple(options::group(&O::train), options::group(&O::crops), warmup_field(&O::warmup),
                          options::field(&O::layers, "layers", "linear layers of the projector", options::between(1, 16)),
                          out_field(&O::out, "width of the projector's layers and of the embeddings"),
                          options::field(&O::bottleneck, "bottleneck", "width of the predictor's hidden layer", options::width),
                          options::field(&O::fix_predictor_lr, "fix-predictor-lr", "keep the predictor's learning rate at the peak"),
                          zero_init_field(&O::zero_init));
    }
};

/// For images of about 32 px: the paper's appendix D (two layers, weight decay 5e-4), narrower, with a smaller batch and a
/// higher learning rate, for short runs on small sets.
inline constexpr SimsiamOptions simsiam_small{.train = {.batch_size = 64, .base_lr = 0.6, .weight_decay = 5e-4},
                                              .crops = {.size = 32},
                                              .warmup = 0.05,
                                              .layers = 2,
                                              .out = 512,
                                              .bottleneck = 128,
                                              .zero_init = false};

/// SimSiam with `encoder`. The projector's last BatchNorm has no scale and offset, the predictor ends without one.
/// Source: Chen, He, "Exploring Simple Siamese Representation Learning", 2020, arXiv:2011.10566, and the authors' code.
///
///     auto preset = methods::simsiam(encoders::ResNet{.depth = 50});
template <class Encoder>
auto simsiam(Encoder encoder, const SimsiamOptions& o = {}) {
    encoders::zero_init_residual(encoder, o.zero_init);
    const std::vector<std::int64_t> hidden(static_cast<std::size_t>(o.layers - 1), o.out);
    Recipe recipe{.encoder = std::move(encoder),
                  .projector = heads::Mlp{.hidden = hidden, .out = o.out, .last_norm = heads::LastNorm::plain,
                                          .bias = heads::Bias::frozen_last},
                  .predictor = heads::Mlp{.hidden = {o.bottleneck}, .out = o.out},
                  .target = targets::StopGradient{},
                  .loss = losses::Simsiam{}};
    optim::Sgd sgd{.weight_decay = o.train.weight_decay, .decay_norm_and_bias = true};
    if (o.fix_predictor_lr) sgd.except = {{.matches = "predictor.", .peak_lr = true}};
    return preset_of("simsiam", std::move(recipe), views::moco_v2(o.crops), std::move(sgd), warmup_cosine(o.train, o.warmup), o);
}

}  // namespace doppel::methods
