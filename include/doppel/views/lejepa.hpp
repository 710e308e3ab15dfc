// SPDX-License-Identifier: Apache-2.0
// LeJEPA's views: global and local views.
#pragma once

#include <doppel/views/multi_crop.hpp>

namespace doppel::views {

/// The parameters of LeJEPA's pipeline.
struct LejepaPipeline {
    CropOptions crops{.min_scale = 0.3};                    ///< of the global views
    int globals = 2, locals = 6;                            ///< how many of each; together at least 2, one of them global
    int local_size = 0;                                     ///< side of the local views in pixels; 0: local_side(size)
    double local_min_scale = 0.05, local_max_scale = 0.3;   ///< shares of the image's area of a local view
};

/// Crop, flip, jitter (0.4, 0.4, 0.2, 0.1; p 0.8), gray (p 0.2), blur (p 0.5), solarize (p 0.2), bilinear. Below 64 px there
/// is no blur, and the statistics are CIFAR-10's.
/// Source: Balestriero, LeCun, LeJEPA, 2025, arXiv:2511.08544, and the authors' code.
///
///     auto crops = views::lejepa({.crops = {.size = 32, .min_scale = 0.3}, .locals = 2});
inline Views lejepa(const LejepaPipeline& o = {}) {
    require(o.globals >= 1 && o.locals >= 0 && o.globals + o.locals >= 2,
            "lejepa: needs a global view and another view, got ", o.globals, " global and ", o.locals, " local ones");
    require(o.crops.min_scale > 0 && o.crops.min_scale <= 1, "lejepa: min_scale must be above 0 and at most 1, got ",
            o.crops.min_scale);
    require(o.local_min_scale > 0 && o.local_min_scale <= o.local_max_scale && o.local_max_scale <= 1,
            "lejepa: local_min_scale and local_max_scale must rise from above 0 to at most 1, got ", o.local_min_scale,
            " and ", o.local_max_scale);
    PipelineSpec spec = paper_spec(o.crops, image::Filter::bilinear);
    spec.jitter = {.brightness = 0.4, .contrast = 0.4, .saturation = 0.2, .hue = 0.1, .p = 0.8};
    spec.solarize.p = 0.2;
    auto views = multi_crop({.global_size = o.crops.size,
                             .local_size = o.local_size > 0 ? o.local_size : local_side(o.crops.size),
                             .globals = o.globals,
                             .locals = o.locals,
                             .global_scale = {o.crops.min_scale, 1},
                             .local_scale = {o.local_min_scale, o.local_max_scale},
                             .spec = spec});
    views.name = "lejepa";
    return views;
}

}  // namespace doppel::views
