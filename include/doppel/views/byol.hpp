// SPDX-License-Identifier: Apache-2.0
// BYOL's views, which Barlow Twins, VICReg, TiCo and MMCR use as well.
#pragma once

#include <doppel/views/views.hpp>

#include <string>
#include <utility>

namespace doppel::views {

/// Two different views: crop, flip, jitter (0.4, 0.4, 0.2, 0.1; p 0.8), gray; the first always blurred, the second
/// blurred with p 0.1 and solarized with p 0.2; bicubic, crops from 0.08. `name` is the method's.
/// Differs: BYOL's own code adds brightness and takes one try at a crop.
/// Source: Grill et al., "Bootstrap your own latent", 2020, arXiv:2006.07733, appendix B.
///
///     auto pair = views::byol({.size = 32});
inline Views byol(const CropOptions& o = {}, std::string name = "byol") {
    PipelineSpec first = paper_spec(o, image::Filter::bicubic);
    first.jitter = {.brightness = 0.4, .contrast = 0.4, .saturation = 0.2, .hue = 0.1, .p = 0.8};
    PipelineSpec second = first;
    if (o.size >= 64) first.blur.p = 1, second.blur.p = 0.1;
    second.solarize.p = 0.2;
    return make_views(std::move(name), {first, second});
}

}  // namespace doppel::views
