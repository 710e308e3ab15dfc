// SPDX-License-Identifier: Apache-2.0
// MMCR's views.
#pragma once

#include <doppel/views/byol.hpp>
#include <doppel/views/simclr.hpp>

#include <cstddef>

namespace doppel::views {

/// From 64 px on BYOL's two views by turns; below, SimCLR's for small images, as in the authors' CIFAR-10 code.
/// Source: Yerxa, Kuang, Simoncelli, Chung, MMCR, 2023, arXiv:2303.03307, appendix, and the authors' code.
///
///     auto eight = views::mmcr({.size = 224}, 8);
inline Views mmcr(const CropOptions& o = {}, int views = 8) {
    require(views >= 2, "mmcr: views must be at least 2, got ", views);
    if (o.small()) {
        auto alike = simclr({.size = o.size,
                             .strength = 0.5,
                             .blur = 0,
                             .scale = {o.min_scale, 1},
                             .filter = image::Filter::bilinear,
                             .normalize = augment::cifar10_normalize,
                             .channels = o.channels,
                             .views = views});
        alike.name = "mmcr";
        return alike;
    }
    auto turns = byol(o);
    const auto two = turns.pipelines;
    for (std::size_t v = 2; v < static_cast<std::size_t>(views); ++v) turns.pipelines.push_back(two[v % 2]);
    turns.globals = views;
    turns.name = "mmcr";
    return turns;
}

}  // namespace doppel::views
