// SPDX-License-Identifier: Apache-2.0
// Instance discrimination: every image is a class of its own.
#pragma once

#include <doppel/views/paper_views.hpp>
#include <doppel/options/range.hpp>
#include <doppel/losses/inst_disc.hpp>
#include <doppel/heads/linear.hpp>
#include <doppel/methods/preset.hpp>
#include <doppel/optim/sgd.hpp>
#include <doppel/queues/memory_bank.hpp>

#include <utility>

namespace doppel::methods {

/// What instance discrimination leaves open. The defaults are the authors' for ImageNet.
struct InstDiscOptions {
    int size = 224;                  ///< side of the views in pixels
    int channels = 3;                ///< of the images: 3 or 1
    std::int64_t images = 0;         ///< in the training set: rows of the memory bank
    std::int64_t epochs = 200;       ///< passes over the training images
    std::int64_t batch_size = 256;   ///< images a step
    double lr = 0;                   ///< highest learning rate; 0: 0.03 · batch_size / 256
    double weight_decay = 1e-4;      ///< on all parameters
    double temperature = 0.07;       ///< τ
    std::int64_t out = 128;          ///< width of the embeddings
    double bank_momentum = 0.5;      ///< share of the old row of the bank
    double min_scale = 0.2;          ///< smallest share of the image's area that a crop takes
    double drop = 0.6;               ///< share of the run after which the rate drops tenfold, and again after half of the rest
};

/// The variant for images of about 32 px: the authors' CIFAR-10 values.
inline InstDiscOptions inst_disc_small() {
    return {.size = 32, .batch_size = 128, .lr = 0.03, .weight_decay = 5e-4, .temperature = 0.1};
}

template <class Field>
void describe(InstDiscOptions& o, Field&& field) {
    field("temperature", o.temperature, "temperature of the softmax over all images", Limits{0, 10, true});
    field("out-dim", o.out, "width of the embeddings", Limits{2, 1 << 20});
    field("bank-momentum", o.bank_momentum, "share of the old row when an image's row of the bank is renewed", Limits{0, 0.999});
    field("min-scale", o.min_scale, "smallest share of the image's area that a crop takes", Limits{0, 1, true});
    field("drop", o.drop, "share of the run after which the learning rate drops tenfold, and again after half of the rest", Limits{0, 1});
    field("weight-decay", o.weight_decay, "weight decay, on all parameters", Limits{0, 1});
}

/// Instance discrimination with `encoder`: one view, a linear projection, a softmax over all images of the data set.
/// Differs: the full softmax, which the authors use for CIFAR-10 and found better for ImageNet than its estimate by
/// noise-contrastive samples; with_loss(recipe, losses::InstanceNce{}) gives that.
/// Source: Wu, Xiong, Yu, Lin, 2018, arXiv:1805.01978, and the authors' code.
///
///     auto preset = methods::inst_disc(encoders::ResNet{.depth = 18}, {.images = photos.size()});
template <class Encoder>
auto inst_disc(Encoder encoder, const InstDiscOptions& o) {
    Recipe recipe{.encoder = std::move(encoder),
                  .projector = heads::Linear{.out = o.out},
                  .queue = queues::MemoryBank{.size = o.images, .momentum = o.bank_momentum},
                  .loss = losses::InstanceSoftmax{.temperature = o.temperature}};
    const double lr = scaled_lr(o.lr, 0.03, o.batch_size);
    return Preset<decltype(recipe)>{
        .name = "inst_disc",
        .recipe = std::move(recipe),
        .views = views::inst_disc({.size = o.size, .min_scale = o.min_scale, .channels = o.channels}),
        .optimizer = optim::Sgd{.lr = lr, .weight_decay = o.weight_decay, .decay_norm_and_bias = true},
        .lr = schedules::MultiStep{.value = lr, .milestones = {o.drop, (1 + o.drop) / 2}},
        .epochs = o.epochs,
        .batch_size = o.batch_size};
}

}  // namespace doppel::methods
