// SPDX-License-Identifier: Apache-2.0
// MoCo v2's and SimSiam's views.
#pragma once

#include <doppel/views/views.hpp>

namespace doppel::views {

/// Two equal views of crop, jitter (0.4, 0.4, 0.4, 0.1; p 0.8), gray, blur (p 0.5), flip: MoCo v2 and SimSiam.
/// Source: Chen, Fan, Girshick, He, "Improved Baselines with Momentum Contrastive Learning", 2020, arXiv:2003.04297.
///
///     auto pair = views::moco_v2({.size = 32});
inline Views moco_v2(const CropOptions& o = {.min_scale = 0.2}) {
    PipelineSpec spec = paper_spec(o, image::Filter::bilinear);
    spec.jitter = {.brightness = 0.4, .contrast = 0.4, .saturation = 0.4, .hue = 0.1, .p = 0.8};
    spec.order = {Stage::crop, Stage::jitter, Stage::gray, Stage::blur, Stage::flip};
    return make_views("moco_v2", {spec, spec});
}

}  // namespace doppel::views
