// SPDX-License-Identifier: Apache-2.0
// MoCo v2: MoCo with an MLP projector, more augmentation and half a cosine.
#pragma once

#include <doppel/heads/mlp.hpp>
#include <doppel/methods/moco_v1.hpp>
#include <doppel/views/moco_v2.hpp>

namespace doppel::methods {

/// Options of MoCo v2. Defaults: the paper's for ImageNet.
struct MocoV2Options {
    Training<MocoDefaults> train{};  ///< paper: 200 and 800 epochs
    Crops<MocoDefaults> crops{};
    double warmup = 0;
    double temperature = 0.2;     ///< CIFAR-10: 0.1
    double momentum = 0.999;      ///< 0.99 for small sets
    std::int64_t queue = 65536;   ///< CIFAR-10: 4096
    std::int64_t hidden = 2048;
    std::int64_t out = 128;
    std::int64_t bn_groups = 8;   ///< the paper's GPUs, on one device
    bool symmetric = false;

    static constexpr auto fields() {
        using O = MocoV2Options;
        return std::tuple(options::group(&O::train), options::group(&O::crops), warmup_field(&O::warmup),
                          temperature_field(&O::temperature), momentum_field(&O::momentum), moco_queue_field(&O::queue),
                          hidden_field(&O::hidden), out_field(&O::out), moco_groups_field(&O::bn_groups),
                          moco_symmetric_field(&O::symmetric));
    }
};

/// For images of about 32 px: the authors' CIFAR-10 notebook with a smaller batch, queue and projector, both directions and
/// a higher learning rate, for short runs on small sets.
inline constexpr MocoV2Options moco_v2_small{.train = {.batch_size = 64, .lr = 0.12, .weight_decay = 5e-4},
                                             .crops = {.size = 32},
                                             .warmup = 0.05,
                                             .momentum = 0.99,
                                             .queue = 1000,
                                             .hidden = 256,
                                             .bn_groups = 2,
                                             .symmetric = true};

/// MoCo v2 with `encoder`: the projector has no BatchNorm.
/// Differs: the learning rate falls step by step, in the authors' code once per epoch.
/// Source: Chen, Fan, Girshick, He, "Improved Baselines with Momentum Contrastive Learning", 2020, arXiv:2003.04297.
///
///     auto preset = methods::moco_v2(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::moco_v2_small);
template <class Encoder>
auto moco_v2(Encoder encoder, const MocoV2Options& o = {}) {
    auto recipe = moco_recipe(std::move(encoder), heads::Mlp{.hidden = {o.hidden}, .out = o.out, .norm = false}, o);
    return preset_of("moco_v2", std::move(recipe), views::moco_v2(o.crops),
                     optim::Sgd{.weight_decay = o.train.weight_decay, .decay_norm_and_bias = true},
                     warmup_cosine(o.train, o.warmup), o);
}

}  // namespace doppel::methods
