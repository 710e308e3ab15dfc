// SPDX-License-Identifier: Apache-2.0
// DCL: SimCLR without the positive in the denominator.
#pragma once

#include <doppel/losses/dcl.hpp>
#include <doppel/methods/simclr.hpp>

namespace doppel::methods {

/// Options of DCL: SimCLR's.
using DclOptions = SimclrOptions;
/// For images of about 32 px.
inline constexpr DclOptions dcl_small = simclr_short_values<SimclrOptions>();

/// DCL with `encoder`, trained as SimCLR.
/// Source: Yeh et al., "Decoupled Contrastive Learning", 2021, arXiv:2110.06848.
///
///     auto preset = methods::dcl(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::dcl_small);
template <class Encoder>
auto dcl(Encoder encoder, const DclOptions& o = {}) {
    const losses::Dcl loss{.temperature = o.temperature};
    return simclr_preset("dcl", simclr_recipe(std::move(encoder), o).with_loss(loss), o);
}

}  // namespace doppel::methods
