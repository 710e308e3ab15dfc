// SPDX-License-Identifier: Apache-2.0
// SimCLR v2: SimCLR with a projector of three layers.
#pragma once

#include <doppel/methods/simclr.hpp>

namespace doppel::methods {

/// Options of SimCLR v2: SimCLR's.
using SimclrV2Options = SimclrOptions;
/// The authors' values for ImageNet: SimCLR's with more weight decay.
inline constexpr SimclrV2Options simclr_v2_lars = [] {
    SimclrV2Options o = simclr_lars;
    o.train.weight_decay = 1e-4;
    return o;
}();
/// For images of about 32 px.
inline constexpr SimclrV2Options simclr_v2_small = [] {
    SimclrV2Options o = simclr_small;
    o.norm = ProjectorNorm::all;
    return o;
}();

/// SimCLR v2 with `encoder`, trained as SimCLR.
/// Out of scope: selective kernels, distillation, and fine-tuning from the projector's first layer, by which the paper gains
/// most where labels are few; the result is the encoder, as for all methods.
/// Source: Chen, Kornblith, Swersky, Norouzi, Hinton, "Big Self-Supervised Models are Strong Semi-Supervised Learners",
/// 2020, arXiv:2006.10029, section 2, and the authors' code.
///
///     auto preset = methods::simclr_v2(encoders::ResNet{.depth = 18}, methods::simclr_v2_small);
template <class Encoder>
auto simclr_v2(Encoder encoder, const SimclrV2Options& o = {}) {
    return simclr_preset("simclr_v2", simclr_recipe(std::move(encoder), o).with_projector(simclr_projector(o, 2)), o);
}

}  // namespace doppel::methods
