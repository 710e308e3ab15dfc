// SPDX-License-Identifier: Apache-2.0
// SwAV's views: two global views and some local ones.
#pragma once

#include <doppel/views/multi_crop.hpp>

namespace doppel::views {

/// The parameters of SwAV's pipeline.
struct SwavPipeline {
    CropOptions crops{.min_scale = 0.14};                    ///< of the global views
    int locals = 6;                                          ///< local views, ≥ 0
    int local_size = 0;                                      ///< their side in pixels; 0: local_side(size)
    double local_min_scale = 0.05, local_max_scale = 0.14;   ///< shares of the image's area of a local view
    double strength = 1;                                     ///< s of the color jitter: 0.8s, 0.8s, 0.8s, 0.2s
};

/// Crop, flip, jitter (p 0.8), gray (p 0.2), blur (p 0.5), bilinear. Below 64 px there is no blur, and the statistics are
/// CIFAR-10's.
/// Source: Caron et al., SwAV, 2020, arXiv:2006.09882, section 3.2 and appendix, and the authors' code.
///
///     auto crops = views::swav({.crops = {.size = 32, .min_scale = 0.4}, .locals = 2});
inline Views swav(const SwavPipeline& o = {}) {
    require(o.crops.min_scale > 0 && o.crops.min_scale <= 1, "swav: min_scale must be above 0 and at most 1, got ",
            o.crops.min_scale);
    require(o.local_min_scale > 0 && o.local_min_scale <= o.local_max_scale && o.local_max_scale <= 1,
            "swav: local_min_scale and local_max_scale must rise from above 0 to at most 1, got ", o.local_min_scale,
            " and ", o.local_max_scale);
    require(o.strength >= 0 && o.strength <= 2.5, "swav: strength must be in [0, 2.5], got ", o.strength);
    const double s = o.strength;
    PipelineSpec spec = paper_spec(o.crops, image::Filter::bilinear);
    spec.jitter = {.brightness = 0.8 * s, .contrast = 0.8 * s, .saturation = 0.8 * s, .hue = 0.2 * s};
    if (!o.crops.small()) spec.normalize = augment::swav_normalize;
    auto views = multi_crop({.global_size = o.crops.size,
                             .local_size = o.local_size > 0 ? o.local_size : local_side(o.crops.size),
                             .globals = 2,
                             .locals = o.locals,
                             .global_scale = {o.crops.min_scale, 1},
                             .local_scale = {o.local_min_scale, o.local_max_scale},
                             .spec = spec});
    views.name = "swav";
    return views;
}

}  // namespace doppel::views
