// SPDX-License-Identifier: Apache-2.0
// MMCR: the centroids of many views of an image fill as many directions as they can.
#pragma once

#include <doppel/encoders/adjust.hpp>
#include <doppel/heads/mlp.hpp>
#include <doppel/losses/mmcr.hpp>
#include <doppel/methods/common.hpp>
#include <doppel/optim/adamw.hpp>
#include <doppel/optim/lars.hpp>
#include <doppel/views/mmcr.hpp>

namespace doppel::methods {

struct MmcrDefaults : Defaults {
    static constexpr double base_lr = 0.6, weight_decay = 1e-6;
    static constexpr bool pillow_blur = true;
};

/// Options of MMCR. Defaults: the authors' for ImageNet.
struct MmcrOptions {
    Training<MmcrDefaults> train{};         ///< paper: batches of 2048, 32 for CIFAR-10 over 500 epochs
    Crops<MmcrDefaults> crops{};
    double warmup = 10;
    Optimizer optimizer = Optimizer::lars;  ///< or adam, which decays all parameters
    int views = 8;                          ///< paper: 2, 4 and 8 for ImageNet, 40 for CIFAR-10
    double lambda = 0;
    std::int64_t hidden = 8192;
    std::int64_t hidden_layers = 2;
    std::int64_t out = 512;
    bool join_views = true;                 ///< as in the authors' code
    bool zero_init = true;                  ///< authors: not for CIFAR-10

    static constexpr auto fields() {
        using O = MmcrOptions;
        return std::tuple(options::group(&O::train), options::group(&O::crops), warmup_field(&O::warmup),
                          optimizer_field(&O::optimizer, "lars or adam"),
                          options::field(&O::views, "views", "views of an image", options::between(2, 1000)),
                          options::field(&O::lambda, "lambda", "weight of the local term, which keeps an image's views together",
                                         options::between(0, 100)),
                          hidden_field(&O::hidden),
                          options::field(&O::hidden_layers, "hidden-layers", "hidden layers of the projector", options::between(0, 10)),
                          out_field(&O::out),
                          join_views_field(&O::join_views, "all views in one BatchNorm batch"),
                          zero_init_field(&O::zero_init));
    }
};

/// For images of about 32 px: the authors' CIFAR-10 head and optimizer, with fewer views of more images, for short runs on
/// small sets.
inline constexpr MmcrOptions mmcr_small{.train = {.batch_size = 64, .lr = 1.5e-2},
                                        .crops = {.size = 32, .min_scale = 0.2},
                                        .warmup = 0.1,
                                        .optimizer = Optimizer::adam,
                                        .views = 2,
                                        .hidden = 512,
                                        .hidden_layers = 1,
                                        .out = 128,
                                        .zero_init = false};

/// MMCR with `encoder`: one network, trained by LARS, or by Adam.
/// Differs: with Adam the authors keep the learning rate constant.
/// Source: Yerxa, Kuang, Simoncelli, Chung, NeurIPS 2023, arXiv:2303.03307, appendix, and the authors' code.
///
///     auto preset = methods::mmcr(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::mmcr_small);
template <class Encoder>
auto mmcr(Encoder encoder, const MmcrOptions& o = {}) {
    encoders::zero_init_residual(encoder, o.zero_init);
    const std::vector<std::int64_t> hidden(static_cast<std::size_t>(o.hidden_layers), o.hidden);
    Recipe recipe{.encoder = std::move(encoder),
                  .projector = heads::Mlp{.hidden = hidden, .out = o.out, .bias = heads::Bias::never},
                  .loss = losses::Mmcr{.lambda = o.lambda},
                  .layout = {.join_views = o.join_views}};
    const optim::AdamW adam{.weight_decay = o.train.weight_decay, .decay_norm_and_bias = true, .decoupled = false};
    auto optimizer = optimizer_of("mmcr", o.optimizer, {{Optimizer::lars, optim::Lars{.weight_decay = o.train.weight_decay}},
                                                        {Optimizer::adam, adam}});
    return preset_of("mmcr", std::move(recipe), views::mmcr(o.crops, o.views), std::move(optimizer),
                     warmup_cosine(o.train, o.warmup, 1e-3), o);
}

}  // namespace doppel::methods
