// SPDX-License-Identifier: Apache-2.0
// ReSSL: a strongly augmented view must relate to a queue of embeddings as a weakly augmented one does.
#pragma once

#include <doppel/losses/ressl.hpp>
#include <doppel/methods/simclr.hpp>
#include <doppel/queues/fifo.hpp>
#include <doppel/targets/ema.hpp>
#include <doppel/views/ressl.hpp>

namespace doppel::methods {

struct ResslDefaults : SimclrDefaults {
    static constexpr std::int64_t epochs = 200;
    static constexpr double base_lr = 0.05, strength = 0.5, min_scale = 0.2;
    static constexpr bool pillow_blur = true;
};

/// Options of ReSSL. Defaults: the authors' for ImageNet.
struct ResslOptions {
    Training<ResslDefaults> train{};
    Crops<ResslDefaults> crops{};
    Colors<ResslDefaults> colors{};
    double warmup = 5;
    double temperature = 0.1;          ///< of the online branch's relations
    double target_temperature = 0.04;  ///< below the online branch's
    double momentum = 0.999;           ///< CIFAR-10: 0.99
    std::int64_t queue = 131072;       ///< CIFAR-10: 4096
    std::int64_t hidden = 4096;
    std::int64_t out = 512;
    bool zero_init = false;

    static constexpr auto fields() {
        using O = ResslOptions;
        return std::tuple(options::group(&O::train), options::group(&O::crops), options::group(&O::colors),
                          warmup_field(&O::warmup),
                          temperature_field(&O::temperature, "temperature of the online branch's relations"),
                          options::field(&O::target_temperature, "target-temperature", "temperature of the target's relations",
                                         options::above(0, 10)),
                          momentum_field(&O::momentum),
                          options::field(&O::queue, "queue", "embeddings that images are related to", options::between(1, 1e9)),
                          hidden_field(&O::hidden), out_field(&O::out), zero_init_field(&O::zero_init));
    }
};

/// For images of about 32 px: a smaller projector and queue, a higher learning rate, and larger crops with full jitter,
/// without which short runs on the embedded images learned little at some seeds.
inline constexpr ResslOptions ressl_small{.train = {.epochs = 100, .batch_size = 64, .lr = 0.1, .weight_decay = 5e-4},
                                          .crops = {.size = 32, .min_scale = 0.7},
                                          .colors = {.strength = 1, .blur = 0},
                                          .warmup = 0.05,
                                          .momentum = 0.99,
                                          .queue = 4096,
                                          .hidden = 1024,
                                          .out = 128};

/// ReSSL with `encoder`, an EMA target and a projector of two layers without BatchNorm.
/// Differs: the authors shuffle the target's BatchNorm over 8 GPUs; here it sees its batch as it is.
/// Source: Zheng et al., "ReSSL", 2021, arXiv:2107.09282, section 4, and the authors' code.
///
///     auto preset = methods::ressl(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::ressl_small);
template <class Encoder>
auto ressl(Encoder encoder, const ResslOptions& o = {}) {
    encoders::zero_init_residual(encoder, o.zero_init);
    Recipe recipe{.encoder = std::move(encoder),
                  .projector = heads::Mlp{.hidden = {o.hidden}, .out = o.out, .norm = false},
                  .target = targets::Ema{.schedule = schedules::Constant{o.momentum}, .timing = targets::EmaTiming::before_forward},
                  .queue = queues::Fifo{.capacity = o.queue},
                  .loss = losses::Ressl{.temperature = o.temperature, .target_temperature = o.target_temperature}};
    return preset_of("ressl", std::move(recipe), views::ressl(simclr_pipeline(o, image::Filter::bilinear)),
                     optim::Sgd{.weight_decay = o.train.weight_decay}, warmup_cosine(o.train, o.warmup), o);
}

}  // namespace doppel::methods
