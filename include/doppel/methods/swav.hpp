// SPDX-License-Identifier: Apache-2.0
// SwAV: views of an image are assigned to the same prototypes; assignments are balanced by Sinkhorn's iteration.
#pragma once

#include <doppel/heads/mlp.hpp>
#include <doppel/losses/swav.hpp>
#include <doppel/methods/common.hpp>
#include <doppel/optim/adamw.hpp>
#include <doppel/optim/lars.hpp>
#include <doppel/views/swav.hpp>

namespace doppel::methods {

struct SwavDefaults : Defaults {
    static constexpr std::int64_t epochs = 200;
    static constexpr double base_lr = 0.6, weight_decay = 1e-6, min_scale = 0.14, local_max_scale = 0.14;
    static constexpr bool pillow_blur = true;
};

/// Options of SwAV. Defaults: the authors' for batches of 256; swav_large holds those for 4096.
struct SwavOptions {
    Training<SwavDefaults> train{};         ///< paper: 100 to 800 epochs; base_lr 0.6 for 256 images, 0.3 (4.8 in all) for 4096
    Crops<SwavDefaults> crops{};
    LocalCrops<SwavDefaults> locals{};
    double strength = 1;
    double warmup = 0;
    double warmup_start = 1 / 16.;
    Optimizer optimizer = Optimizer::lars;  ///< LARC, a form of LARS; or adam
    std::int64_t prototypes = 3000;
    double temperature = 0.1;
    double epsilon = 0.05;
    std::int64_t iterations = 3;
    std::int64_t queue = 3840;
    std::int64_t queue_from = 15;
    double frozen_prototypes = 1;
    std::int64_t hidden = 2048;
    std::int64_t out = 128;

    static constexpr auto fields() {
        using O = SwavOptions;
        using options::between;
        using options::field;
        return std::tuple(
            options::group(&O::train), options::group(&O::crops), options::group(&O::locals),
            field(&O::strength, "strength", "strength of the color jitter", between(0, 2.5)), warmup_field(&O::warmup),
            field(&O::warmup_start, "warmup-start", "learning rate at the start, as a share of the peak", options::fraction),
            optimizer_field(&O::optimizer, "lars (LARC, on all parameters) or adam"),
            field(&O::prototypes, "prototypes", "prototypes that views are assigned to", between(2, 1 << 20)),
            temperature_field(&O::temperature, "temperature of the predictions"),
            field(&O::epsilon, "epsilon", "how soft the assignments are", options::above(0, 10)),
            field(&O::iterations, "iterations", "Sinkhorn's iterations", between(1, 1000)),
            field(&O::queue, "queue", "past embeddings of each global view that are assigned along; 0: none", between(0, 1 << 24)),
            field(&O::queue_from, "queue-from", "epoch from which past embeddings are kept", between(0, 1e6), "epochs"),
            field(&O::frozen_prototypes, "frozen-prototypes", "epochs in which the prototypes are not trained", between(0, 1e6),
                  "epochs"),
            hidden_field(&O::hidden), out_field(&O::out));
    }
};

/// The authors' values for 4096 images per step: no queue.
inline constexpr SwavOptions swav_large{.train = {.epochs = 100, .batch_size = 4096, .base_lr = 0.3}, .warmup = 10, .queue = 0};

/// For images of about 32 px: few prototypes, sharper assignments, a smaller head, two local views, larger crops, weaker
/// colors, Adam, no queue; for short runs on small sets. With epsilon 0.05 these start from assignments that are nearly even,
/// and stay at the loss of no knowledge, ln K.
inline constexpr SwavOptions swav_small{.train = {.epochs = 100, .batch_size = 64, .lr = 1e-3},
                                        .crops = {.size = 32, .min_scale = 0.4},
                                        .locals = {.count = 2, .min_scale = 0.2, .max_scale = 0.5},
                                        .strength = 0.5,
                                        .warmup = 0.1,
                                        .optimizer = Optimizer::adam,
                                        .prototypes = 64,
                                        .epsilon = 0.03,
                                        .queue = 0,
                                        .hidden = 512};

/// SwAV with `encoder`, trained by LARC, which adapts and decays all parameters, or by Adam. One encoder pass for each size
/// of views, one pass of the projector over all. The linear layers have biases.
/// Differs: the authors' warm-up reaches the peak one step earlier.
/// Source: Caron, Misra, Mairal, Goyal, Bojanowski, Joulin, "Unsupervised Learning of Visual Features by Contrasting Cluster
/// Assignments", 2020, arXiv:2006.09882, section 4 and appendix A, and the authors' code.
///
///     auto preset = methods::swav(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::swav_small);
template <class Encoder>
auto swav(Encoder encoder, const SwavOptions& o = {}) {
    Recipe recipe{.encoder = std::move(encoder),
                  .projector = heads::Mlp{.hidden = {o.hidden}, .out = o.out, .bias = heads::Bias::always},
                  .loss = losses::Swav{.prototypes = {o.prototypes},
                                       .temperature = o.temperature,
                                       .assignment = {.epsilon = o.epsilon, .iterations = o.iterations},
                                       .queue = o.queue,
                                       .queue_from = o.queue_from},
                  .layout = {.join_views = true, .join_heads = true}};
    const optim::Lars larc{.weight_decay = o.train.weight_decay, .rule = optim::Lars::Rule::larc};
    const optim::AdamW adam{.weight_decay = o.train.weight_decay, .decay_norm_and_bias = true, .decoupled = false};
    auto views = views::swav({.crops = o.crops,
                              .locals = o.locals.count,
                              .local_size = o.locals.size,
                              .local_min_scale = o.locals.min_scale,
                              .local_max_scale = o.locals.max_scale,
                              .strength = o.strength});
    auto preset = preset_of("swav", std::move(recipe), std::move(views),
                            optimizer_of("swav", o.optimizer, {{Optimizer::lars, larc}, {Optimizer::adam, adam}}),
                            warmup_cosine(o.train, o.warmup, 1e-3, o.warmup_start), o);
    if (o.frozen_prototypes > 0) preset.frozen = {{.matches = "loss.prototypes", .epochs = o.frozen_prototypes}};
    return preset;
}

}  // namespace doppel::methods
