// SPDX-License-Identifier: Apache-2.0
// MoCo v1's views.
#pragma once

#include <doppel/views/views.hpp>

namespace doppel::views {

/// Two equal views of crop, gray, jitter (0.4 each, always), flip.
/// Source: the authors' code; He et al., "Momentum Contrast", 2019, arXiv:1911.05722, section 3.4.
///
///     auto pair = views::moco_v1({.size = 32, .min_scale = 0.2});
inline Views moco_v1(const CropOptions& o = {.min_scale = 0.2}) {
    PipelineSpec spec = paper_spec(o, image::Filter::bilinear);
    spec.jitter = {.brightness = 0.4, .contrast = 0.4, .saturation = 0.4, .hue = 0.4, .p = 1};
    spec.order = {Stage::crop, Stage::gray, Stage::jitter, Stage::flip};
    return make_views("moco_v1", {spec, spec});
}

}  // namespace doppel::views
