// SPDX-License-Identifier: Apache-2.0
// A small method that masks patches.
#pragma once

#include <doppel/encoders/vit.hpp>

#include "support/method_support.hpp"

#include <utility>

namespace doppel::test {

/// A Vision Transformer of 9 patches.
inline const encoders::Vit small_vit{.kind = VitKind::ti, .patch = 4, .image_size = 12, .dim = 24, .depth = 2, .heads = 3,
                                     .mask_token = true};

template <class Loss>
auto masked(Loss loss) {
    return Recipe{.encoder = small_vit,
                  .projector = heads::Mlp{.hidden = {}, .out = 6},
                  .target = targets::Ema{.schedule = schedules::Constant{0.9}},
                  .loss = std::move(loss),
                  .layout = {.join_views = true, .join_heads = true}};
}

}  // namespace doppel::test
