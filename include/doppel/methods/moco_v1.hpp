// SPDX-License-Identifier: Apache-2.0
// MoCo v1: a query must find its key among a queue of keys that a slowly moving copy of the encoder made.
#pragma once

#include <doppel/heads/linear.hpp>
#include <doppel/losses/info_nce.hpp>
#include <doppel/methods/common.hpp>
#include <doppel/optim/sgd.hpp>
#include <doppel/pairings/pairing.hpp>
#include <doppel/queues/fifo.hpp>
#include <doppel/targets/ema.hpp>
#include <doppel/views/moco_v1.hpp>

namespace doppel::methods {

struct MocoDefaults : Defaults {
    static constexpr std::int64_t epochs = 200;
    static constexpr double base_lr = 0.03, min_scale = 0.2;
    static constexpr bool pillow_blur = true;  // of v2; v1 does not blur
};

// Fields of both versions.
template <class O>
constexpr auto moco_queue_field(std::int64_t O::*member) {
    return options::field(member, "queue", "keys kept as negatives", options::between(1, 1e9));
}
template <class O>
constexpr auto moco_groups_field(std::int64_t O::*member) {
    return options::field(member, "bn-groups", "parts of a batch with BatchNorm statistics of their own", options::between(1, 4096));
}
template <class O>
constexpr auto moco_symmetric_field(bool O::*member) {
    return options::field(member, "symmetric", "each view is the query once: the sum of both losses");
}

/// Options of MoCo v1. Defaults: the paper's for ImageNet.
struct MocoV1Options {
    Training<MocoDefaults> train{};
    Crops<MocoDefaults> crops{};
    double temperature = 0.07;
    double momentum = 0.999;      ///< 0.99 for small sets
    std::int64_t queue = 65536;   ///< CIFAR-10: 4096
    std::int64_t out = 128;
    std::int64_t bn_groups = 8;   ///< the paper's GPUs, on one device
    bool symmetric = false;

    static constexpr auto fields() {
        using O = MocoV1Options;
        return std::tuple(options::group(&O::train), options::group(&O::crops), temperature_field(&O::temperature),
                          momentum_field(&O::momentum), moco_queue_field(&O::queue), out_field(&O::out),
                          moco_groups_field(&O::bn_groups), moco_symmetric_field(&O::symmetric));
    }
};

/// For images of about 32 px: the authors' CIFAR-10 notebook with a smaller batch and queue, both directions and a higher
/// learning rate, for short runs on small sets.
inline constexpr MocoV1Options moco_v1_small{.train = {.batch_size = 64, .lr = 0.12, .weight_decay = 5e-4},
                                             .crops = {.size = 32},
                                             .temperature = 0.1,
                                             .momentum = 0.99,
                                             .queue = 1000,
                                             .bn_groups = 1,
                                             .symmetric = true};

/// What both versions share: all but the projector.
template <class Encoder, class Projector, class Options>
auto moco_recipe(Encoder encoder, Projector projector, const Options& o) {
    return Recipe{.encoder = std::move(encoder),
                  .projector = std::move(projector),
                  .target = targets::Ema{.schedule = schedules::Constant{o.momentum}, .timing = targets::EmaTiming::before_forward},
                  .queue = queues::Fifo{.capacity = o.queue},
                  .pairing = pairings::Directions{.symmetric = o.symmetric},
                  .loss = losses::InfoNce{.temperature = o.temperature},
                  .layout = {.bn_groups = o.bn_groups, .shuffle_target = true}};
}

/// MoCo v1 with `encoder`: a linear projection, the learning rate drops tenfold after 0.6 and 0.8 of the run.
/// Source: He, Fan, Wu, Xie, Girshick, "Momentum Contrast", 2019, arXiv:1911.05722, and the authors' code.
///
///     auto preset = methods::moco_v1(encoders::ResNet{.depth = 50});
template <class Encoder>
auto moco_v1(Encoder encoder, const MocoV1Options& o = {}) {
    auto recipe = moco_recipe(std::move(encoder), heads::Linear{.out = o.out}, o);
    return preset_of("moco_v1", std::move(recipe), views::moco_v1(o.crops),
                     optim::Sgd{.weight_decay = o.train.weight_decay, .decay_norm_and_bias = true},
                     [train = o.train](std::int64_t images) { return schedules::MultiStep{.value = train.peak_lr(images)}; }, o);
}

}  // namespace doppel::methods
