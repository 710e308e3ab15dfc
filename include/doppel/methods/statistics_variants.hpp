// SPDX-License-Identifier: Apache-2.0
// TiCo, W-MSE and LeJEPA: what keeps embeddings from collapsing are statistics of them: a moving covariance, whitening
// within the batch, nearness to a Gaussian.
#pragma once

#include <doppel/views/paper_views.hpp>
#include <doppel/options/range.hpp>
#include <doppel/encoders/adjust.hpp>
#include <doppel/losses/sigreg.hpp>
#include <doppel/losses/tico.hpp>
#include <doppel/losses/wmse.hpp>
#include <doppel/methods/preset.hpp>
#include <doppel/optim/adamw.hpp>
#include <doppel/optim/lars.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace doppel::methods {

// ---- TiCo ----------------------------------------------------------------------------------------------------------

/// What TiCo leaves open. The training is lightly's for ImageNet, whose rates are BYOL's for 1000 epochs.
struct TicoOptions {
    int size = 224;                  ///< side of the views in pixels
    int channels = 3;                ///< of the images: 3 or 1
    std::int64_t epochs = 100;       ///< passes over the training images
    std::int64_t batch_size = 256;   ///< images a step
    double lr = 0;                   ///< highest learning rate; 0: base_lr · batch_size / 256
    double base_lr = 0.2;            ///< of LARS
    double warmup = 0.1;             ///< share of the run in which the learning rate rises; 10 epochs
    double weight_decay = 1.5e-6;    ///< not on biases and normalization
    double momentum = 0.99;          ///< of the target at the start, rises to 1 by half a cosine
    double beta = 0.9;               ///< β, share of the old covariance
    double rho = 8;                  ///< ρ, weight of the covariance term
    std::int64_t hidden = 4096;      ///< width of the projector's hidden layer
    std::int64_t out = 256;          ///< width of the embeddings
    double min_scale = 0.08;         ///< smallest share of the image's area that a crop takes
    bool zero_init = true;           ///< a ResNet's blocks start as the identity
};

/// The variant for images of about 32 px: a smaller head and batch, a higher learning rate, a target that follows
/// quickly.
inline TicoOptions tico_small() {
    return {.size = 32,
            .batch_size = 64,
            .base_lr = 8,
            .momentum = 0.9,
            .hidden = 512,
            .out = 128,
            .min_scale = 0.2,
            .zero_init = false};
}

template <class Field>
void describe(TicoOptions& o, Field&& field) {
    field("beta", o.beta, "share of the old covariance when it follows the embeddings", Limits{0, 1});
    field("rho", o.rho, "weight of the covariance term", Limits{0, 1000});
    field("momentum", o.momentum, "share of the old weights when the target follows, at the start", Limits{0, 1});
    field("hidden", o.hidden, "width of the projector's hidden layer", Limits{1, 1 << 20});
    field("out-dim", o.out, "width of the embeddings", Limits{2, 1 << 20});
    field("min-scale", o.min_scale, "smallest share of the image's area that a crop takes", Limits{0, 1, true});
    field("base-lr", o.base_lr, "learning rate for 256 images a step", Limits{0, 100, true});
    field("zero-init", o.zero_init, "a ResNet's blocks start as the identity");
    field("warmup", o.warmup, "share of the run in which the learning rate rises", Limits{0, 1});
    field("weight-decay", o.weight_decay, "weight decay, not on biases and normalization", Limits{0, 1});
}

/// TiCo with `encoder`: the online branch sees one view, a target that follows slowly the other; no predictor. Views
/// are BYOL's; trained by LARS.
/// Differs: lightly's ImageNet run hands the loss the two branches the other way round, so that its covariance term,
/// which is then the target's, gives no gradient.
/// Source: Zhu, Moraes, Karakulak, Sobol, Canziani, LeCun, "TiCo", 2022, arXiv:2206.10698, section 4, and lightly's
/// projection head, loss and ImageNet benchmark.
///
///     auto preset = methods::tico(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::tico_small());
template <class Encoder>
auto tico(Encoder encoder, const TicoOptions& o = {}) {
    encoders::zero_init_residual(encoder, o.zero_init);
    Recipe recipe{.encoder = std::move(encoder),
                  .projector = heads::Mlp{.hidden = {o.hidden}, .out = o.out},
                  .target = targets::Ema{.schedule = schedules::Cosine{.from = o.momentum, .to = 1},
                                          .timing = targets::EmaTiming::after_step},
                  .loss = losses::Tico{.beta = o.beta, .rho = o.rho}};
    const double lr = scaled_lr(o.lr, o.base_lr, o.batch_size);
    auto views = views::byol({.size = o.size, .min_scale = o.min_scale, .channels = o.channels});
    views.name = "tico";
    return Preset<decltype(recipe)>{
        .name = "tico",
        .recipe = std::move(recipe),
        .views = std::move(views),
        .optimizer = optim::Lars{.lr = lr, .weight_decay = o.weight_decay},
        .lr = schedules::WarmupCosine{.peak = lr, .warmup_fraction = o.warmup},
        .epochs = o.epochs,
        .batch_size = o.batch_size};
}

// ---- W-MSE ---------------------------------------------------------------------------------------------------------

/// What W-MSE leaves open. The defaults are the authors' for STL-10 and Tiny ImageNet.
struct WmseOptions {
    int size = 224;                  ///< side of the views in pixels
    int channels = 3;                ///< of the images: 3 or 1
    std::int64_t views = 2;          ///< of an image, ≥ 2; authors: 2, and 4 with half as many images
    std::int64_t epochs = 100;       ///< passes over the training images; authors: 1000, 2000 for STL-10
    std::int64_t batch_size = 512;   ///< images a step, a multiple of w_size
    double lr = 0;                   ///< highest learning rate of Adam; 0: 2e-3 for any batch; CIFAR-10: 3e-3
    double warmup = 0.01;            ///< share of the run in which the learning rate rises; authors: 500 steps
    double weight_decay = 1e-6;      ///< on all parameters
    std::int64_t w_size = 256;       ///< images whitened together, twice `out` or more; CIFAR-10: 128
    std::int64_t iterations = 4;     ///< partitions a step; CIFAR-10 and 4 views: 1
    double eps = 0;                  ///< share of the identity in the covariance
    std::int64_t hidden = 1024;      ///< width of the projector's hidden layer
    std::int64_t out = 128;          ///< width of the embeddings; CIFAR-10: 64
    double min_scale = 0.2;          ///< smallest share of the image's area that a crop takes
};

/// The variant for images of about 32 px: a small batch, few dimensions, a higher learning rate, larger crops.
inline WmseOptions wmse_small() {
    return {.size = 32,
            .batch_size = 64,
            .lr = 5e-3,
            .warmup = 0.05,
            .w_size = 64,
            .iterations = 1,
            .out = 20,
            .min_scale = 0.7};
}

template <class Field>
void describe(WmseOptions& o, Field&& field) {
    field("views", o.views, "views of an image", Limits{2, 1000});
    field("w-size", o.w_size, "images whitened together, a divisor of the batch; 0: all", Limits{0, 1 << 24});
    field("iterations", o.iterations, "partitions of the batch a step", Limits{1, 1000});
    field("eps", o.eps, "share of the identity in the covariance that is whitened", Limits{0, 1});
    field("hidden", o.hidden, "width of the projector's hidden layer", Limits{1, 1 << 20});
    field("out-dim", o.out, "width of the embeddings", Limits{2, 1 << 20});
    field("min-scale", o.min_scale, "smallest share of the image's area that a crop takes", Limits{0, 1, true});
    field("warmup", o.warmup, "share of the run in which the learning rate rises", Limits{0, 1});
    field("weight-decay", o.weight_decay, "weight decay, on all parameters", Limits{0, 1});
}

namespace detail {
/// Each pair of different views once, for a loss that does not care which of them is first; the mean of the terms.
struct EachPairOnce {
    pairings::Reduce reduce = pairings::Reduce::mean;
    std::vector<pairings::Pair> operator()(std::size_t views, std::size_t) const {
        std::vector<pairings::Pair> pairs;
        for (std::size_t a = 0; a < views; ++a)
            for (std::size_t b = a + 1; b < views; ++b) pairs.push_back({a, b});
        return pairs;
    }
};

/// Equal views of jitter (0.4, 0.4, 0.4, 0.1; p 0.8), gray (p 0.1), crop, flip.
inline views::Views wmse_views(const WmseOptions& o) {
    require(o.views >= 2, "wmse: views must be at least 2, got ", o.views);
    require(o.min_scale > 0 && o.min_scale <= 1, "wmse: min_scale must be above 0 and at most 1, got ", o.min_scale);
    using views::Stage;
    const views::Line line{.size = o.size,
                           .scale = {o.min_scale, 1},
                           .filter = image::Filter::bicubic,
                           .jitter = {.brightness = 0.4, .contrast = 0.4, .saturation = 0.4, .hue = 0.1, .p = 0.8},
                           .gray = {.p = 0.1},
                           .order = {Stage::jitter, Stage::gray, Stage::crop, Stage::flip},
                           .normalize = o.size < 64 ? augment::cifar10_normalize : augment::imagenet_normalize,
                           .channels = o.channels};
    return views::from_lines("wmse", std::vector<views::Line>(static_cast<std::size_t>(o.views), line));
}
}  // namespace detail

/// W-MSE with `encoder`: the encoder passes view by view, the projector over all views at once, as in the authors'
/// code; trained by Adam. Colors are changed before the crop, and there is no blur.
/// Differs: the learning rate falls by half a cosine; the authors multiply it by 0.2 at 50 and at 25 epochs before the
/// end. Each pair of views draws partitions of its own; the authors' pairs share them.
/// Source: Ermolov, Siarohin, Sangineto, Sebe, "Whitening for Self-Supervised Representation Learning", ICML 2021,
/// arXiv:2007.06346, and the authors' code.
///
///     auto preset = methods::wmse(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::wmse_small());
template <class Encoder>
auto wmse(Encoder encoder, const WmseOptions& o = {}) {
    require(o.w_size == 0 || (o.w_size > 0 && o.batch_size % o.w_size == 0), "wmse: w_size must divide the batch of ",
            o.batch_size, " images, got ", o.w_size, " (0: all of them)");
    Recipe recipe{.encoder = std::move(encoder),
                  .projector = heads::Mlp{.hidden = {o.hidden}, .out = o.out, .bias = heads::Bias::always},
                  .pairing = detail::EachPairOnce{},
                  .loss = losses::Wmse{.w_size = o.w_size, .iterations = o.iterations, .eps = o.eps},
                  .passes = {.join_heads = true}};
    const double lr = o.lr > 0 ? o.lr : 2e-3;
    return Preset<decltype(recipe)>{
        .name = "wmse",
        .recipe = std::move(recipe),
        .views = detail::wmse_views(o),
        .optimizer = optim::AdamW{
            .lr = lr, .weight_decay = o.weight_decay, .decay_norm_and_bias = true, .decoupled = false},
        .lr = schedules::WarmupCosine{.peak = lr, .warmup_fraction = o.warmup},
        .epochs = o.epochs,
        .batch_size = o.batch_size};
}

// ---- LeJEPA --------------------------------------------------------------------------------------------------------

/// What LeJEPA leaves open. The defaults are the authors' for ResNets; lejepa_vit() gives those for ViTs.
struct LejepaOptions {
    int size = 224;                   ///< side of the global views in pixels
    int channels = 3;                 ///< of the images: 3 or 1
    std::int64_t epochs = 100;        ///< passes over the training images
    std::int64_t batch_size = 256;    ///< images a step
    double lr = 0;                    ///< highest learning rate of AdamW; 0: 5e-4 for any batch
    double warmup = 0.01;             ///< share of the run in which the learning rate rises; authors' example: 1 epoch
    double weight_decay = 5e-4;       ///< on all parameters; ViT: 5e-2
    double lambda = 0.05;             ///< λ, weight of the Gaussian's statistic; authors' example: 0.02
    std::int64_t directions = 1024;   ///< random directions a step; authors' example: 256
    std::int64_t hidden = 2048;       ///< width of the projector's two hidden layers
    std::int64_t out = 128;           ///< width of the embeddings
    std::int64_t globals = 2;         ///< large views of an image, which make the center
    std::int64_t locals = 6;          ///< small ones
    int local_size = 0;               ///< their side; 0: 3/7 of `size` in steps of 16, below 64 px half of it
    double min_scale = 0.3;           ///< smallest share of the image's area that a global view takes
    double local_min_scale = 0.05;    ///< smallest and
    double local_max_scale = 0.3;     ///< largest share that a small view takes

    /// The side of the small views.
    int local_side() const {
        if (local_size > 0) return local_size;
        return size < 64 ? std::max(1, size / 2) : static_cast<int>(std::lround(size * 3 / 7. / 16)) * 16;
    }
};

/// The authors' values for ViT.
inline LejepaOptions lejepa_vit() { return {.weight_decay = 5e-2}; }

/// The variant for images of about 32 px: smaller head and batch, fewer directions, a higher learning rate, and no
/// small views.
inline LejepaOptions lejepa_small() {
    return {.size = 32,
            .batch_size = 64,
            .lr = 4e-3,
            .warmup = 0.05,
            .directions = 256,
            .hidden = 512,
            .out = 64,
            .locals = 0};
}

template <class Field>
void describe(LejepaOptions& o, Field&& field) {
    field("lambda", o.lambda, "weight of the statistic that makes embeddings normal", Limits{0, 1});
    field("directions", o.directions, "random directions a step in which embeddings are looked at", Limits{1, 1 << 20});
    field("hidden", o.hidden, "width of the projector's hidden layers", Limits{1, 1 << 20});
    field("out-dim", o.out, "width of the embeddings", Limits{2, 1 << 20});
    field("globals", o.globals, "large views of an image, which make the center", Limits{1, 1000});
    field("locals", o.locals, "small views of an image", Limits{0, 1000});
    field("local-size", o.local_size, "side of the small views in pixels; 0: by the size of the global ones",
          Limits{0, 4096});
    field("min-scale", o.min_scale, "smallest share of the image's area that a global view takes", Limits{0, 1, true});
    field("local-min-scale", o.local_min_scale, "smallest share that a small view takes", Limits{0, 1, true});
    field("local-max-scale", o.local_max_scale, "largest share that a small view takes", Limits{0, 1, true});
    field("warmup", o.warmup, "share of the run in which the learning rate rises", Limits{0, 1});
    field("weight-decay", o.weight_decay, "weight decay, on all parameters", Limits{0, 1});
}

namespace detail {
/// Global and small views, all of crop, flip, jitter (0.4, 0.4, 0.2, 0.1; p 0.8), gray (p 0.2), blur (p 0.5), solarize
/// (p 0.2), bilinear. Below 64 px there is no blur, and the statistics are CIFAR-10's.
inline views::Views lejepa_views(const LejepaOptions& o) {
    require(o.globals >= 1 && o.locals >= 0 && o.globals + o.locals >= 2,
            "lejepa: needs a global view and another view, got ", o.globals, " global and ", o.locals, " local ones");
    require(o.min_scale > 0 && o.min_scale <= 1, "lejepa: min_scale must be above 0 and at most 1, got ", o.min_scale);
    require(o.local_min_scale > 0 && o.local_min_scale <= o.local_max_scale && o.local_max_scale <= 1,
            "lejepa: local_min_scale and local_max_scale must rise from above 0 to at most 1, got ", o.local_min_scale,
            " and ", o.local_max_scale);
    const bool small = o.size < 64;
    auto views = views::multi_crop(
        {.global_size = o.size,
         .local_size = o.local_side(),
         .globals = static_cast<int>(o.globals),
         .locals = static_cast<int>(o.locals),
         .global_scale = {o.min_scale, 1},
         .local_scale = {o.local_min_scale, o.local_max_scale},
         .line = {.jitter = {.brightness = 0.4, .contrast = 0.4, .saturation = 0.2, .hue = 0.1, .p = 0.8},
                  .blur = {.p = small ? 0 : 0.5},
                  .solarize = {.p = 0.2},
                  .normalize = small ? augment::cifar10_normalize : augment::imagenet_normalize,
                  .channels = o.channels}});
    views.name = "lejepa";
    return views;
}
}  // namespace detail

/// LeJEPA with `encoder`: one network without stop-gradient, a projector of three layers, trained by AdamW. One encoder
/// pass for each size of views, one pass of the projector over all.
/// Differs: small views have 96 px, a multiple of a ViT's patches of 16, the authors' 98 of patches of 14; the width of
/// the embeddings is the default of the authors' example, which is run with 16.
/// Source: Balestriero, LeCun, "LeJEPA: Provable and Scalable Self-Supervised Learning Without the Heuristics", 2025,
/// arXiv:2511.08544, and the authors' code.
///
///     auto preset = methods::lejepa(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::lejepa_small());
template <class Encoder>
auto lejepa(Encoder encoder, const LejepaOptions& o = {}) {
    Recipe recipe{.encoder = std::move(encoder),
                  .projector =
                      heads::Mlp{.hidden = {o.hidden, o.hidden}, .out = o.out, .bias = heads::Bias::always},
                  .loss = losses::Sigreg{.lambda = o.lambda, .directions = o.directions, .globals = o.globals},
                  .passes = {.join_views = true, .join_heads = true}};
    const double lr = o.lr > 0 ? o.lr : 5e-4;
    return Preset<decltype(recipe)>{
        .name = "lejepa",
        .recipe = std::move(recipe),
        .views = detail::lejepa_views(o),
        .optimizer = optim::AdamW{.lr = lr, .weight_decay = o.weight_decay, .decay_norm_and_bias = true},
        .lr = schedules::WarmupCosine{.peak = lr, .warmup_fraction = o.warmup, .final = lr / 1000, .start = lr / 100},
        .epochs = o.epochs,
        .batch_size = o.batch_size};
}

}  // namespace doppel::methods
