// SPDX-License-Identifier: Apache-2.0
// The pipelines of the momentum and predictor families, as lines of the table in views/views.hpp.
#pragma once

#include <doppel/views/views.hpp>

#include <string>
#include <utility>

namespace doppel::views {

/// What a paper's pipeline leaves open. Below 64 px the filter is bilinear, the statistics are CIFAR-10's and there is no
/// blur, as in the authors' CIFAR-10 code.
struct PaperOptions {
    int size = 224;          ///< side of the views in pixels
    double min_scale = 0.2;  ///< smallest share of the image's area that a crop takes, above 0 and at most 1
    int channels = 3;        ///< of the views: 3 or 1
};

namespace detail {
/// A line with what all papers share. The filter is that of the large images.
inline Line paper_line(const PaperOptions& o, image::Filter filter) {
    require(o.min_scale > 0 && o.min_scale <= 1, "views: min_scale must be above 0 and at most 1, got ", o.min_scale);
    const bool small = o.size < 64;
    return {.size = o.size,
            .scale = {o.min_scale, 1},
            .filter = small ? image::Filter::bilinear : filter,
            .blur = {.p = small ? 0 : 0.5},
            .normalize = small ? augment::cifar10_normalize : augment::imagenet_normalize,
            .channels = o.channels};
}
}  // namespace detail

/// `views` equal views of crop, gray, jitter (0.4 each, always), flip: InstDisc (one view) and MoCo v1 (two).
/// Source: the authors' code; Wu et al., 2018, arXiv:1805.01978; He et al., 2019, arXiv:1911.05722, section 3.4.
///
///     auto one = views::inst_disc({.size = 32});
inline Views moco_v1(const PaperOptions& o = {}) {
    Line line = detail::paper_line(o, image::Filter::bilinear);
    line.jitter = {.brightness = 0.4, .contrast = 0.4, .saturation = 0.4, .hue = 0.4, .p = 1};
    line.order = {Stage::crop, Stage::gray, Stage::jitter, Stage::flip};
    return from_lines("moco_v1", {line, line});
}
inline Views inst_disc(const PaperOptions& o = {}) {
    Views views = moco_v1(o);
    views.each.resize(1);
    views.globals = 1;
    views.name = "inst_disc";
    return views;
}

/// Two equal views of crop, jitter (0.4, 0.4, 0.4, 0.1; p 0.8), gray, blur (p 0.5), flip: MoCo v2 and SimSiam.
/// Source: Chen, Fan, Girshick, He, "Improved Baselines with Momentum Contrastive Learning", 2020, arXiv:2003.04297.
///
///     auto pair = views::moco_v2({.size = 32});
inline Views moco_v2(const PaperOptions& o = {}) {
    Line line = detail::paper_line(o, image::Filter::bilinear);
    line.jitter = {.brightness = 0.4, .contrast = 0.4, .saturation = 0.4, .hue = 0.1, .p = 0.8};
    line.order = {Stage::crop, Stage::jitter, Stage::gray, Stage::blur, Stage::flip};
    return from_lines("moco_v2", {line, line});
}

/// Two different views: crop, flip, jitter (0.4, 0.4, 0.2, 0.1; p 0.8), gray; the first always blurred, the second
/// blurred with p 0.1 and solarized with p 0.2. BYOL, Barlow Twins, VICReg (bicubic, crops from 0.08); MoCo v3 has the
/// same operations with the flip last, bilinear.
/// Differs: BYOL's own code adds brightness and takes one try at a crop.
/// Source: Grill et al., "Bootstrap your own latent", 2020, arXiv:2006.07733, appendix B.
///
///     auto pair = views::byol({.size = 32});
inline Views byol(const PaperOptions& o = {.min_scale = 0.08}) {
    Line first = detail::paper_line(o, image::Filter::bicubic);
    first.jitter = {.brightness = 0.4, .contrast = 0.4, .saturation = 0.2, .hue = 0.1, .p = 0.8};
    Line second = first;
    if (o.size >= 64) first.blur.p = 1, second.blur.p = 0.1;
    second.solarize.p = 0.2;
    return from_lines("byol", {first, second});
}
inline Views moco_v3(const PaperOptions& o = {}) {
    Line first = detail::paper_line(o, image::Filter::bilinear);
    first.jitter = {.brightness = 0.4, .contrast = 0.4, .saturation = 0.2, .hue = 0.1, .p = 0.8};
    first.order = {Stage::crop, Stage::jitter, Stage::gray, Stage::blur, Stage::solarize, Stage::flip};
    Line second = first;
    if (o.size >= 64) first.blur.p = 1, second.blur.p = 0.1;
    second.solarize.p = 0.2;
    return from_lines("moco_v3", {first, second});
}

}  // namespace doppel::views
