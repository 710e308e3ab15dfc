// SPDX-License-Identifier: Apache-2.0
// DINO's views: global and local views.
#pragma once

#include <doppel/views/views.hpp>

#include <cstddef>
#include <vector>

namespace doppel::views {

/// The parameters of DINO's pipeline.
struct DinoPipeline {
    int size = 224;                                       ///< side of the two global views in pixels
    int local_size = 96;                                  ///< side of the local views in pixels
    int locals = 8;                                       ///< local views, ≥ 0
    double global_min_scale = 0.4;                        ///< smallest share of the image's area of a global view
    double local_min_scale = 0.05, local_max_scale = 0.4;  ///< shares of the area of a local view
    int channels = 3;                                     ///< of the views: 3 or 1
    bool pillow_blur = false;                             ///< blur as Pillow does, as the authors
};

/// Two global views and some local ones: crop, flip, jitter (0.4, 0.4, 0.2, 0.1; p 0.8), gray (p 0.2), blur, solarize.
/// The first global view is always blurred, the second with p 0.1, a local one with p 0.5; the second is solarized with
/// p 0.2.
/// Bicubic; global views below 64 px: as paper_spec() says, for all views.
/// Source: Caron et al., DINO, 2021, arXiv:2104.14294, section 3.2, and the authors' code.
///
///     auto crops = views::dino({.size = 32, .local_size = 16, .locals = 4});
inline Views dino(const DinoPipeline& o = {}) {
    require(o.locals >= 0, "dino: locals must be at least 0, got ", o.locals);
    require(o.local_min_scale > 0 && o.local_min_scale <= o.local_max_scale && o.local_max_scale <= 1,
            "dino: the local views' scales must lie above 0 and at most at 1, the smaller first, got ",
            o.local_min_scale, " and ", o.local_max_scale);
    PipelineSpec first = paper_spec(
        {.size = o.size, .min_scale = o.global_min_scale, .channels = o.channels, .pillow_blur = o.pillow_blur},
        image::Filter::bicubic);
    first.jitter = {.brightness = 0.4, .contrast = 0.4, .saturation = 0.2, .hue = 0.1, .p = 0.8};
    PipelineSpec second = first, local = first;
    if (o.size >= 64) first.blur.p = 1, second.blur.p = 0.1;
    second.solarize.p = 0.2;
    local.size = o.local_size;
    local.scale = {o.local_min_scale, o.local_max_scale};
    return make_views("dino", {first, second}, std::vector<PipelineSpec>(static_cast<std::size_t>(o.locals), local));
}

}  // namespace doppel::views
