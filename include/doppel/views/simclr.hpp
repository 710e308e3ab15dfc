// SPDX-License-Identifier: Apache-2.0
// SimCLR's views.
#pragma once

#include <doppel/views/views.hpp>

#include <cstddef>
#include <vector>

namespace doppel::views {

/// The parameters of SimCLR's pipeline.
struct SimclrPipeline {
    /// Side of the views in pixels.
    int size = 224;
    /// s of the paper: the jitter is 0.8s, 0.8s, 0.8s, 0.2s; 0 … 2.5; 1 at ImageNet size, 0.5 at 32 px.
    double strength = 1.0;
    /// Probability of blur, 0 … 1; 0.5 at ImageNet size, 0 at 32 px.
    double blur = 0.5;
    /// A sampled Gaussian, as in the paper's TensorFlow code, or Pillow's box filters.
    image::Blur blur_kind = image::Blur::gaussian;
    /// Area of the crop.
    Range scale{0.08, 1};
    /// Aspect ratio of the crop.
    Range ratio{3 / 4., 4 / 3.};
    /// The paper's code resizes bicubically.
    image::Filter filter = image::Filter::bicubic;
    Normalize normalize = augment::imagenet_normalize;
    int channels = 3;
    /// Views of an image, ≥ 1; the paper's 2.
    int views = 2;
};

/// The stages of SimCLR's pipeline: crop, flip, jitter (p 0.8), gray (p 0.2), blur; what other views build on.
///
///     auto crops = views::multi_crop({.global_size = 96, .local_size = 48, .spec = views::simclr_spec({.strength = 0.5})});
inline PipelineSpec simclr_spec(const SimclrPipeline& options = {}) {
    require(options.strength >= 0 && options.strength <= 2.5, "simclr: strength must be in [0, 2.5], got ",
            options.strength);
    const double s = options.strength;
    return {.size = options.size,
            .scale = options.scale,
            .ratio = options.ratio,
            .filter = options.filter,
            .jitter = {.brightness = 0.8 * s, .contrast = 0.8 * s, .saturation = 0.8 * s, .hue = 0.2 * s},
            .blur = {.p = options.blur, .kind = options.blur_kind},
            .order = {Stage::crop, Stage::flip, Stage::jitter, Stage::gray, Stage::blur},
            .normalize = options.normalize,
            .channels = options.channels};
}

/// Two views of SimCLR: crop, flip, jitter (p 0.8), gray (p 0.2), blur. Differs from the paper's code: brightness is
/// multiplied, not added (the default of SimCLR v2); inputs are normalized.
/// Source: Chen, Kornblith, Norouzi, Hinton, "A simple framework for contrastive learning of visual
/// representations", 2020 (arXiv:2002.05709), appendix A.
///
///     auto pair = views::simclr({.size = 96, .strength = 0.5});
inline Views simclr(const SimclrPipeline& options = {}) {
    require(options.views >= 1, "simclr: views must be at least 1, got ", options.views);
    return make_views("simclr", std::vector(static_cast<std::size_t>(options.views), simclr_spec(options)));
}

/// SimCLR's views for 32-px images: strength 0.5 (jitter 0.4, 0.4, 0.4, 0.1), no blur, bilinear, CIFAR-10's mean and
/// std. The paper's appendix B.9.
inline Views simclr_small(int size = 32, const Normalize& normalize = augment::cifar10_normalize) {
    return simclr(
        {.size = size, .strength = 0.5, .blur = 0, .filter = image::Filter::bilinear, .normalize = normalize});
}

}  // namespace doppel::views
