// SPDX-License-Identifier: Apache-2.0
// ReSSL's views: a strongly augmented one for the online branch, a weakly augmented one for the target.
#pragma once

#include <doppel/views/simclr.hpp>

#include <utility>

namespace doppel::views {

/// SimCLR's view first, then one of crop and flip alone, of the same size.
/// Source: Zheng et al., "ReSSL", 2021, arXiv:2107.09282, section 3.2; strength 0.5 (jitter 0.4, 0.4, 0.4, 0.1), crops
/// from 0.2 and bilinear as in the authors' code.
///
///     auto pair = views::ressl({.size = 96, .strength = 0.5, .scale = {0.2, 1}});
inline Views ressl(SimclrPipeline options = {.strength = 0.5, .scale = {0.2, 1}, .filter = image::Filter::bilinear}) {
    options.views = 2;
    Views both = simclr(options);
    both.pipelines[1] = pipeline({.size = options.size,
                         .scale = options.scale,
                         .ratio = options.ratio,
                         .filter = options.filter,
                         .order = {Stage::crop, Stage::flip},
                         .normalize = options.normalize,
                         .channels = options.channels});
    both.name = "ressl";
    return both;
}

}  // namespace doppel::views
