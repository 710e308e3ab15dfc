// SPDX-License-Identifier: Apache-2.0
// Instance discrimination: each image is a class of its own; a memory bank holds an embedding of every image.
#pragma once

#include <doppel/heads/linear.hpp>
#include <doppel/losses/inst_disc.hpp>
#include <doppel/methods/common.hpp>
#include <doppel/optim/sgd.hpp>
#include <doppel/queues/memory_bank.hpp>
#include <doppel/views/inst_disc.hpp>

namespace doppel::methods {

struct InstDiscDefaults : Defaults {
    static constexpr std::int64_t epochs = 200;
    static constexpr double base_lr = 0.03, min_scale = 0.2;
};

/// Options of instance discrimination. Defaults: the authors' for ImageNet.
struct InstDiscOptions {
    Training<InstDiscDefaults> train{};
    Crops<InstDiscDefaults> crops{};
    double temperature = 0.07;
    std::int64_t out = 128;
    double bank_momentum = 0.5;
    double drop = 0.6;

    static constexpr auto fields() {
        using O = InstDiscOptions;
        return std::tuple(options::group(&O::train), options::group(&O::crops),
                          temperature_field(&O::temperature, "temperature of the softmax over all images"), out_field(&O::out),
                          options::field(&O::bank_momentum, "bank-momentum", "share of the old row when an image's row is renewed",
                                         options::between(0, 0.999)),
                          options::field(&O::drop, "drop",
                                         "share of the run after which the learning rate drops tenfold, and again after half of the rest",
                                         options::fraction));
    }
};

/// For images of about 32 px: the authors' CIFAR-10 values.
inline constexpr InstDiscOptions inst_disc_small{.train = {.batch_size = 128, .lr = 0.03, .weight_decay = 5e-4},
                                                 .crops = {.size = 32},
                                                 .temperature = 0.1};

/// Instance discrimination with `encoder` on `images` training images: one view, a linear projection, a softmax over all
/// images of the data set.
/// Differs: below 64 px views are flipped, too, which the authors' CIFAR-10 code does not; the full softmax, which the authors use for CIFAR-10 and found better for ImageNet than its estimate by
/// noise-contrastive samples; preset.with_loss("nce", losses::InstanceNce{}) uses that.
/// Source: Wu, Xiong, Yu, Lin, 2018, arXiv:1805.01978, and the authors' code.
///
///     auto preset = methods::inst_disc(encoders::ResNet{.depth = 18}, photos.size());
template <class Encoder>
auto inst_disc(Encoder encoder, std::int64_t images, const InstDiscOptions& o = {}) {
    Recipe recipe{.encoder = std::move(encoder),
                  .projector = heads::Linear{.out = o.out},
                  .queue = queues::MemoryBank{.size = images, .momentum = o.bank_momentum},
                  .loss = losses::InstanceSoftmax{.temperature = o.temperature}};
    return preset_of("inst_disc", std::move(recipe), views::inst_disc(o.crops),
                     optim::Sgd{.weight_decay = o.train.weight_decay, .decay_norm_and_bias = true},
                     [train = o.train, drop = o.drop](std::int64_t batch) {
            return schedules::MultiStep{.value = train.peak_lr(batch), .milestones = {drop, (1 + drop) / 2}};
        }, o);
}

}  // namespace doppel::methods
