// SPDX-License-Identifier: Apache-2.0
// MoCo v3's views.
#pragma once

#include <doppel/views/views.hpp>

namespace doppel::views {

/// BYOL's two views with the flip last, bilinear.
/// Source: Chen, Xie, He, "An Empirical Study of Training Self-Supervised Vision Transformers", 2021, arXiv:2104.02057,
/// and the authors' code.
///
///     auto pair = views::moco_v3({.size = 32, .min_scale = 0.2});
inline Views moco_v3(const CropOptions& o = {.min_scale = 0.2}) {
    PipelineSpec first = paper_spec(o, image::Filter::bilinear);
    first.jitter = {.brightness = 0.4, .contrast = 0.4, .saturation = 0.2, .hue = 0.1, .p = 0.8};
    first.order = {Stage::crop, Stage::jitter, Stage::gray, Stage::blur, Stage::solarize, Stage::flip};
    PipelineSpec second = first;
    if (o.size >= 64) first.blur.p = 1, second.blur.p = 0.1;
    second.solarize.p = 0.2;
    return make_views("moco_v3", {first, second});
}

}  // namespace doppel::views
