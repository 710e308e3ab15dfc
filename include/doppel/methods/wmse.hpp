// SPDX-License-Identifier: Apache-2.0
// W-MSE: embeddings are whitened within the batch, and views agree.
#pragma once

#include <doppel/heads/mlp.hpp>
#include <doppel/losses/wmse.hpp>
#include <doppel/methods/common.hpp>
#include <doppel/optim/adamw.hpp>
#include <doppel/pairings/pairing.hpp>
#include <doppel/views/wmse.hpp>

namespace doppel::methods {

struct WmseDefaults : Defaults {
    static constexpr std::int64_t batch_size = 512;
    static constexpr double lr = 2e-3, base_lr = 1e-3, weight_decay = 1e-6, min_scale = 0.2;
};

/// Options of W-MSE. Defaults: the authors' for STL-10 and Tiny ImageNet.
struct WmseOptions {
    Training<WmseDefaults> train{};  ///< authors: 1000 epochs, 2000 for STL-10; CIFAR-10: lr 3e-3
    Crops<WmseDefaults> crops{};
    double warmup = 2.5;                  ///< authors: 500 steps, about 2.5 epochs of STL-10's 105,000 images
    int views = 2;                        ///< authors: 2, and 4 with half as many images
    std::int64_t w_size = 256;            ///< CIFAR-10: 128
    std::int64_t iterations = 4;          ///< CIFAR-10 and 4 views: 1
    double eps = 0;
    std::int64_t hidden = 1024;
    std::int64_t out = 128;               ///< CIFAR-10: 64

    static constexpr auto fields() {
        using O = WmseOptions;
        return std::tuple(options::group(&O::train), options::group(&O::crops), warmup_field(&O::warmup),
                          options::field(&O::views, "views", "views of an image", options::between(2, 1000)),
                          options::field(&O::w_size, "w-size",
                                         "images whitened together, a divisor of the batch, twice out-dim or more; 0: all",
                                         options::between(0, 1 << 24)),
                          options::field(&O::iterations, "iterations", "partitions of the batch per step", options::between(1, 1000)),
                          options::field(&O::eps, "eps", "share of the identity in the covariance that is whitened", options::fraction),
                          hidden_field(&O::hidden), out_field(&O::out));
    }
};

/// For images of about 32 px: a small batch, few dimensions, a higher learning rate, larger crops.
inline constexpr WmseOptions wmse_small{.train = {.batch_size = 64, .lr = 1.5e-2},
                                        .crops = {.size = 32, .min_scale = 0.7},
                                        .warmup = 0.05,
                                        .w_size = 64,
                                        .iterations = 1,
                                        .out = 20};

/// W-MSE with `encoder`: the encoder passes view by view, the projector over all views at once, as in the authors' code;
/// trained by Adam on all parameters.
/// Differs: the learning rate falls by half a cosine; the authors multiply it by 0.2 at 50 and at 25 epochs before the end.
/// Each pair of views draws partitions of its own; the authors' pairs share them.
/// Source: Ermolov, Siarohin, Sangineto, Sebe, "Whitening for Self-Supervised Representation Learning", ICML 2021,
/// arXiv:2007.06346, and the authors' code.
///
///     auto preset = methods::wmse(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::wmse_small);
template <class Encoder>
auto wmse(Encoder encoder, const WmseOptions& o = {}) {
    require(o.w_size == 0 || (o.w_size > 0 && o.train.batch_size % o.w_size == 0), "wmse: w_size must divide the batch of ",
            o.train.batch_size, " images, got ", o.w_size, " (0: all of them)");
    Recipe recipe{.encoder = std::move(encoder),
                  .projector = heads::Mlp{.hidden = {o.hidden}, .out = o.out, .bias = heads::Bias::always},
                  .pairing = pairings::EachPairOnce{},
                  .loss = losses::Wmse{.w_size = o.w_size, .iterations = o.iterations, .eps = o.eps},
                  .layout = {.join_heads = true}};
    return preset_of("wmse", std::move(recipe), views::wmse(o.crops, o.views),
                     optim::AdamW{.weight_decay = o.train.weight_decay, .decay_norm_and_bias = true, .decoupled = false},
                     warmup_cosine(o.train, o.warmup), o);
}

}  // namespace doppel::methods
