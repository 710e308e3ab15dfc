// SPDX-License-Identifier: Apache-2.0
// Instance discrimination's view.
#pragma once

#include <doppel/views/moco_v1.hpp>

namespace doppel::views {

/// One view: MoCo v1's pipeline, which comes from here.
/// Source: Wu, Xiong, Yu, Lin, 2018, arXiv:1805.01978, and the authors' code.
///
///     auto one = views::inst_disc({.size = 32, .min_scale = 0.2});
inline Views inst_disc(const CropOptions& o = {.min_scale = 0.2}) {
    Views views = moco_v1(o);
    views.pipelines.resize(1);
    views.globals = 1;
    views.name = "inst_disc";
    return views;
}

}  // namespace doppel::views
