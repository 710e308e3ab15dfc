// SPDX-License-Identifier: Apache-2.0
// Global and local views of an image.
#pragma once

#include <doppel/views/views.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace doppel::views {

/// The parameters of a multi-crop pipeline.
struct MultiCropOptions {
    /// Sides of the global and local views in pixels.
    int global_size = 224, local_size = 96;
    /// How many of each; globals ≥ 1, locals ≥ 0.
    int globals = 2, locals = 6;
    /// Areas of the crops.
    Range global_scale{0.4, 1}, local_scale{0.05, 0.4};
    /// Everything else of every view; its size and scale are not read.
    PipelineSpec spec{};
};

/// Views of two sizes. Source: Caron et al., "Unsupervised learning of visual features by contrasting cluster
/// assignments", 2020 (arXiv:2006.09882), section 3.2; the default areas are DINO's (arXiv:2104.14294).
///
///     auto views = views::multi_crop({.global_size = 32, .local_size = 16, .locals = 4});
inline Views multi_crop(const MultiCropOptions& options = {}) {
    require(options.globals >= 1 && options.locals >= 0, "multi_crop: needs globals >= 1 and locals >= 0, got ",
            options.globals, " and ", options.locals);
    PipelineSpec global = options.spec, local = options.spec;
    global.size = options.global_size;
    global.scale = options.global_scale;
    local.size = options.local_size;
    local.scale = options.local_scale;
    return make_views("multi_crop", std::vector<PipelineSpec>(static_cast<std::size_t>(options.globals), global),
                      std::vector<PipelineSpec>(static_cast<std::size_t>(options.locals), local));
}

/// The side of local views where none is given: 3/7 of the global one's in steps of 16, below 64 px half of it.
inline int local_side(int size) {
    return size < 64 ? std::max(1, size / 2) : static_cast<int>(std::lround(size * 3 / 7. / 16)) * 16;
}

}  // namespace doppel::views
