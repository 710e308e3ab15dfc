// SPDX-License-Identifier: Apache-2.0
// W-MSE's views.
#pragma once

#include <doppel/views/views.hpp>

#include <cstddef>
#include <vector>

namespace doppel::views {

/// Equal views of jitter (0.4, 0.4, 0.4, 0.1; p 0.8), gray (p 0.1), crop, flip, bicubic: colors change before the crop, and
/// there is no blur. Below 64 px the statistics are CIFAR-10's.
/// Source: Ermolov, Siarohin, Sangineto, Sebe, W-MSE, 2021, arXiv:2007.06346, and the authors' code.
///
///     auto four = views::wmse({.size = 32, .min_scale = 0.2}, 4);
inline Views wmse(const CropOptions& o = {.min_scale = 0.2}, int views = 2) {
    require(views >= 2, "wmse: views must be at least 2, got ", views);
    require(o.min_scale > 0 && o.min_scale <= 1, "wmse: min_scale must be above 0 and at most 1, got ", o.min_scale);
    PipelineSpec spec = paper_spec(o, image::Filter::bicubic);
    spec.filter = image::Filter::bicubic;
    spec.jitter = {.brightness = 0.4, .contrast = 0.4, .saturation = 0.4, .hue = 0.1, .p = 0.8};
    spec.gray = {.p = 0.1};
    spec.order = {Stage::jitter, Stage::gray, Stage::crop, Stage::flip};
    return make_views("wmse", std::vector<PipelineSpec>(static_cast<std::size_t>(views), spec));
}

}  // namespace doppel::views
