// SPDX-License-Identifier: Apache-2.0
// VICReg: views agree, dimensions vary and do not vary together; no negatives, no predictor, no target network.
#pragma once

#include <doppel/options/range.hpp>
#include <doppel/encoders/adjust.hpp>
#include <doppel/losses/vicreg.hpp>
#include <doppel/methods/barlow_twins.hpp>
#include <doppel/methods/preset.hpp>

#include <cstdint>
#include <utility>

namespace doppel::methods {

/// What VICReg leaves open. The defaults are the authors' for ImageNet.
struct VicregOptions {
    int size = 224;                  ///< side of the views in pixels
    int channels = 3;                ///< of the images: 3 or 1
    std::int64_t epochs = 100;       ///< passes over the training images; paper: 1000
    std::int64_t batch_size = 256;   ///< images a step; paper: 2048
    double lr = 0;                   ///< highest learning rate; 0: base_lr · batch_size / 256
    double base_lr = 0.2;            ///< paper: 0.2 for batches of 2048; authors for 100 epochs with 512: 0.3
    double warmup = 0.1;             ///< share of the run in which the learning rate rises; paper: 10 epochs
    double weight_decay = 1e-6;      ///< not on biases and normalization
    bool sgd = false;                ///< SGD with momentum in place of LARS
    double invariance = 25;          ///< λ, weight of the distance between views
    double variance = 25;            ///< μ, weight of the hinge on each dimension's deviation
    double covariance = 1;           ///< ν, weight of the covariances
    bool sum_variance = false;       ///< the sum of the two views' hinges as in the paper, not their mean
    std::int64_t hidden = 8192;      ///< width of the projector's two hidden layers
    std::int64_t out = 8192;         ///< width of the embeddings
    double min_scale = 0.08;         ///< smallest share of the image's area that a crop takes
    bool zero_init = true;           ///< a ResNet's blocks start as the identity
};

/// The variant for images of about 32 px: a smaller head and batch, a higher learning rate, more weight on the
/// covariances, for short runs on small sets.
inline VicregOptions vicreg_small() {
    return {.size = 32,
            .batch_size = 64,
            .base_lr = 8,
            .warmup = 0.05,
            .weight_decay = 5e-4,
            .covariance = 4,
            .hidden = 512,
            .out = 512,
            .min_scale = 0.2,
            .zero_init = false};
}

template <class Field>
void describe(VicregOptions& o, Field&& field) {
    field("invariance", o.invariance, "weight of the distance between views", Limits{0, 1000});
    field("variance", o.variance, "weight of the hinge on each dimension's deviation", Limits{0, 1000});
    field("covariance", o.covariance, "weight of the covariances", Limits{0, 1000});
    field("sum-variance", o.sum_variance, "sum of the two views' hinges as in the paper, not their mean");
    detail::describe_redundancy(o, field);
}

/// VICReg with `encoder`: a projector of three layers, the last without bias, trained by LARS or SGD. The views are
/// those of the authors' code, which are BYOL's.
/// Source: Bardes, Ponce, LeCun, "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning",
/// 2021, arXiv:2105.04906, section 4 and appendix, and the authors' code.
///
///     auto preset = methods::vicreg(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::vicreg_small());
template <class Encoder>
auto vicreg(Encoder encoder, const VicregOptions& o = {}) {
    encoders::zero_init_residual(encoder, o.zero_init);
    using Convention = losses::Vicreg::Convention;
    Recipe recipe{.encoder = std::move(encoder),
                  .projector =
                      heads::Mlp{.hidden = {o.hidden, o.hidden}, .out = o.out, .bias = heads::Bias::hidden_only},
                  .loss = losses::Vicreg{.invariance = o.invariance,
                                         .variance = o.variance,
                                         .covariance = o.covariance,
                                         .convention = o.sum_variance ? Convention::paper : Convention::code}};
    return detail::redundancy_preset("vicreg", std::move(recipe), o);
}

}  // namespace doppel::methods
