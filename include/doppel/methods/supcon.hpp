// SPDX-License-Identifier: Apache-2.0
// SupCon: SimCLR with labels; all views of all images of a class are positives.
#pragma once

#include <doppel/losses/supcon.hpp>
#include <doppel/methods/simclr_short.hpp>

namespace doppel::methods {

/// Options of SupCon: SimCLR's.
using SupconOptions = SimclrOptions;
/// For images of about 32 px.
inline constexpr SupconOptions supcon_small = simclr_short();

/// SupCon with `encoder`, trained as SimCLR. The positives of an image without a label are its own views.
/// Differs: the authors' projector has no BatchNorm.
/// Source: Khosla et al., "Supervised Contrastive Learning", 2020, arXiv:2004.11362.
///
///     auto preset = methods::supcon(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::supcon_small);
template <class Encoder>
auto supcon(Encoder encoder, const SupconOptions& o = {}) {
    const losses::Supcon loss{.temperature = o.temperature};
    return simclr_preset("supcon", simclr_recipe(std::move(encoder), o).with_loss(loss), o);
}

}  // namespace doppel::methods
