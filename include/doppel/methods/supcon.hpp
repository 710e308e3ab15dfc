// SPDX-License-Identifier: Apache-2.0
// SupCon: SimCLR with labels; all views of all images of a class are positives.
#pragma once

#include <doppel/losses/supcon.hpp>
#include <doppel/methods/simclr.hpp>

namespace doppel::methods {

struct SupconDefaults : SimclrDefaults {
    static constexpr bool zero_init = false;
    static constexpr ProjectorNorm norm = ProjectorNorm::none;
};

/// Options of SupCon: SimCLR's. Defaults: the projector and the blocks of the authors' PyTorch code, SimCLR's training.
using SupconOptions = SimclrOptionsOf<SupconDefaults>;
/// For images of about 32 px: as of SimCLR's other variants.
inline constexpr SupconOptions supcon_small = simclr_short_values<SupconOptions>();

/// SupCon with `encoder`, trained as SimCLR. The positives of an image without a label are its own views.
/// Source: Khosla et al., "Supervised Contrastive Learning", 2020, arXiv:2004.11362, and the authors' code.
///
///     auto preset = methods::supcon(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::supcon_small);
template <class Encoder>
auto supcon(Encoder encoder, const SupconOptions& o = {}) {
    const losses::Supcon loss{.temperature = o.temperature};
    return simclr_preset("supcon", simclr_recipe(std::move(encoder), o).with_loss(loss), o);
}

}  // namespace doppel::methods
