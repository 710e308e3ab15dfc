// SPDX-License-Identifier: Apache-2.0
// SwAV: assign the views of a batch to prototypes, evenly, and predict the assignments from other views; multi-crop.
#pragma once

#include <doppel/views/views.hpp>
#include <doppel/options/range.hpp>
#include <doppel/losses/swav.hpp>
#include <doppel/methods/preset.hpp>
#include <doppel/optim/adamw.hpp>
#include <doppel/optim/lars.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

namespace doppel::methods {

/// What SwAV leaves open. The defaults are the authors' for batches of 256; swav_large() gives those for 4096.
struct SwavOptions {
    int size = 224;                      ///< side of the global views in pixels
    int channels = 3;                    ///< of the images: 3 or 1
    std::int64_t epochs = 200;           ///< passes over the training images; paper: 100 to 800, here 200 and 400
    std::int64_t batch_size = 256;       ///< images a step; paper: 256 and 4096
    double lr = 0;                       ///< highest learning rate; 0: base_lr · batch_size / 256
    double base_lr = 0.6;                ///< paper: 0.6 with 256 images a step, 0.3 (4.8 in all) with 4096
    double warmup = 0;                   ///< share of the run in which the learning rate rises
    double warmup_start = 1 / 16.;       ///< where it rises from, as a share of the highest
    double weight_decay = 1e-6;          ///< on all parameters
    bool adam = false;                   ///< Adam in place of LARC
    std::int64_t prototypes = 3000;      ///< K
    double temperature = 0.1;            ///< τ
    double epsilon = 0.05;               ///< ε of Sinkhorn, how soft the assignments are
    std::int64_t iterations = 3;         ///< of Sinkhorn
    std::int64_t queue = 3840;           ///< past embeddings of each global view that are assigned along; 0: none
    std::int64_t queue_from = 15;        ///< epoch from which they are kept
    double frozen_prototypes = 1;        ///< epochs in which the prototypes are not trained
    std::int64_t hidden = 2048;          ///< width of the projector's hidden layer
    std::int64_t out = 128;              ///< width of the embeddings
    std::int64_t locals = 6;             ///< small views of an image, besides the two global ones
    int local_size = 0;                  ///< their side; 0: 3/7 of `size` in steps of 16, below 64 px half of it
    double min_scale = 0.14;             ///< smallest share of the image's area that a global view takes
    double local_min_scale = 0.05;       ///< smallest and
    double local_max_scale = 0.14;       ///< largest share that a small view takes
    double strength = 1;                 ///< s of the color jitter: 0.8s, 0.8s, 0.8s, 0.2s

    /// The side of the small views.
    int local_side() const {
        if (local_size > 0) return local_size;
        return size < 64 ? std::max(1, size / 2) : static_cast<int>(std::lround(size * 3 / 7. / 16)) * 16;
    }
};

/// The authors' values for 4096 images a step: no queue.
inline SwavOptions swav_large() {
    return {.epochs = 100, .batch_size = 4096, .base_lr = 0.3, .warmup = 0.1, .queue = 0};
}

/// The variant for images of about 32 px: few prototypes, sharper assignments, a smaller head, two small views, larger
/// crops, weaker colors, Adam, no queue; for short runs on small sets. With ε = 0.05 these start from assignments that
/// are nearly even, and stay at the loss of no knowledge, ln K.
inline SwavOptions swav_small() {
    return {.size = 32,
            .epochs = 100,
            .batch_size = 64,
            .lr = 1e-3,
            .warmup = 0.1,
            .adam = true,
            .prototypes = 64,
            .epsilon = 0.03,
            .queue = 0,
            .hidden = 512,
            .locals = 2,
            .min_scale = 0.4,
            .local_min_scale = 0.2,
            .local_max_scale = 0.5,
            .strength = 0.5};
}

template <class Field>
void describe(SwavOptions& o, Field&& field) {
    field("prototypes", o.prototypes, "prototypes to which views are assigned", Limits{2, 1 << 20});
    field("temperature", o.temperature, "temperature of the predictions", Limits{0, 10, true});
    field("epsilon", o.epsilon, "how soft the assignments are", Limits{0, 10, true});
    field("iterations", o.iterations, "Sinkhorn's iterations", Limits{1, 1000});
    field("queue", o.queue, "past embeddings of each global view that are assigned along; 0: none", Limits{0, 1 << 24});
    field("queue-from", o.queue_from, "epoch from which past embeddings are kept", Limits{0, 1e6});
    field("frozen-prototypes", o.frozen_prototypes, "epochs in which the prototypes are not trained", Limits{0, 1e6});
    field("hidden", o.hidden, "width of the projector's hidden layer", Limits{1, 1 << 20});
    field("out-dim", o.out, "width of the embeddings", Limits{2, 1 << 20});
    field("locals", o.locals, "small views of an image, besides the two global ones", Limits{0, 1000});
    field("local-size", o.local_size, "side of the small views in pixels; 0: by the size of the global ones",
          Limits{0, 4096});
    field("min-scale", o.min_scale, "smallest share of the image's area that a global view takes", Limits{0, 1, true});
    field("local-min-scale", o.local_min_scale, "smallest share that a small view takes", Limits{0, 1, true});
    field("local-max-scale", o.local_max_scale, "largest share that a small view takes", Limits{0, 1, true});
    field("strength", o.strength, "strength of the color jitter", Limits{0, 2.5});
    field("adam", o.adam, "Adam in place of LARC");
    field("base-lr", o.base_lr, "learning rate of LARC for 256 images a step", Limits{0, 100, true});
    field("warmup", o.warmup, "share of the run in which the learning rate rises", Limits{0, 1});
    field("warmup-start", o.warmup_start, "where it rises from, as a share of the highest", Limits{0, 1});
    field("weight-decay", o.weight_decay, "weight decay, on all parameters", Limits{0, 1});
}

namespace detail {
/// Two global and some small views, all of crop, flip, jitter (p 0.8), gray (p 0.2), blur (p 0.5), bilinear. Below
/// 64 px there is no blur, and the statistics are CIFAR-10's.
inline views::Views swav_views(const SwavOptions& o) {
    require(o.min_scale > 0 && o.min_scale <= 1, "swav: min_scale must be above 0 and at most 1, got ", o.min_scale);
    require(o.local_min_scale > 0 && o.local_min_scale <= o.local_max_scale && o.local_max_scale <= 1,
            "swav: local_min_scale and local_max_scale must rise from above 0 to at most 1, got ", o.local_min_scale,
            " and ", o.local_max_scale);
    require(o.strength >= 0 && o.strength <= 2.5, "swav: strength must be in [0, 2.5], got ", o.strength);
    const bool small = o.size < 64;
    const double s = o.strength;
    auto views = views::multi_crop(
        {.global_size = o.size,
         .local_size = o.local_side(),
         .globals = 2,
         .locals = static_cast<int>(o.locals),
         .global_scale = {o.min_scale, 1},
         .local_scale = {o.local_min_scale, o.local_max_scale},
         .line = {.jitter = {.brightness = 0.8 * s, .contrast = 0.8 * s, .saturation = 0.8 * s, .hue = 0.2 * s},
                  .blur = {.p = small ? 0 : 0.5},
                  .normalize = small ? augment::cifar10_normalize : augment::swav_normalize,
                  .channels = o.channels}});
    views.name = "swav";
    return views;
}
}  // namespace detail

/// SwAV with `encoder`, trained by LARC, which adapts and decays all parameters, or by Adam. One encoder pass for each
/// size of views, one pass of the projector over all. The linear layers have biases.
/// Source: Caron, Misra, Mairal, Goyal, Bojanowski, Joulin, "Unsupervised Learning of Visual Features by Contrasting
/// Cluster Assignments", 2020, arXiv:2006.09882, section 4 and appendix A, and the authors' code.
///
///     auto preset = methods::swav(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::swav_small());
template <class Encoder>
auto swav(Encoder encoder, const SwavOptions& o = {}) {
    Recipe recipe{.encoder = std::move(encoder),
                  .projector = heads::Mlp{.hidden = {o.hidden}, .out = o.out, .bias = heads::Bias::always},
                  .loss = losses::Swav{.prototypes = {o.prototypes},
                                       .temperature = o.temperature,
                                       .assignment = {.epsilon = o.epsilon, .iterations = o.iterations},
                                       .queue = o.queue,
                                       .queue_from = o.queue_from},
                  .passes = {.join_views = true, .join_heads = true}};
    const double lr = scaled_lr(o.lr, o.base_lr, o.batch_size);
    optim::AnyOptimizerSpec optimizer = optim::Lars{.lr = lr, .weight_decay = o.weight_decay, .rule = optim::Lars::Rule::larc};
    if (o.adam)
        optimizer = optim::AdamW{
            .lr = lr, .weight_decay = o.weight_decay, .decay_norm_and_bias = true, .decoupled = false};
    std::vector<optim::Freeze> frozen;
    if (o.frozen_prototypes > 0) frozen.push_back({.matches = "loss.prototypes", .epochs = o.frozen_prototypes});
    return Preset<decltype(recipe)>{
        .name = "swav",
        .recipe = std::move(recipe),
        .views = detail::swav_views(o),
        .optimizer = std::move(optimizer),
        .lr = schedules::WarmupCosine{.peak = lr,
                                      .warmup_fraction = o.warmup,
                                      .final = lr / 1000,
                                      .start = lr * o.warmup_start},
        .epochs = o.epochs,
        .batch_size = o.batch_size,
        .frozen = std::move(frozen)};
}

}  // namespace doppel::methods
