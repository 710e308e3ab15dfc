// SPDX-License-Identifier: Apache-2.0
// DCLW: DCL with more weight on images whose views are still far apart.
#pragma once

#include <doppel/losses/dcl.hpp>
#include <doppel/methods/simclr.hpp>

namespace doppel::methods {

/// Options of DCLW: SimCLR's and the width of the positives' weights.
struct DclwOptions {
    SimclrOptions simclr{};
    double sigma = 0.5;  ///< σ

    static constexpr auto fields() {
        return std::tuple(options::group(&DclwOptions::simclr),
                          options::field(&DclwOptions::sigma, "sigma", "width of the positives' weights; the larger, the more equal",
                                         options::above(0, 100)));
    }
};

/// For images of about 32 px.
inline constexpr DclwOptions dclw_small = [] {
    DclwOptions o{.simclr = simclr_short_values<SimclrOptions>()};
    o.simclr.temperature = 0.1;
    return o;
}();

/// DCLW with `encoder`, trained as SimCLR.
/// Source: Yeh et al., "Decoupled Contrastive Learning", 2021, arXiv:2110.06848.
///
///     auto preset = methods::dclw(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::dclw_small);
template <class Encoder>
auto dclw(Encoder encoder, const DclwOptions& o = {}) {
    const losses::Dclw loss{.temperature = o.simclr.temperature, .sigma = o.sigma};
    auto preset = simclr_preset("dclw", simclr_recipe(std::move(encoder), o.simclr).with_loss(loss), o.simclr);
    preset.options = options::to_json(o);
    return preset;
}

}  // namespace doppel::methods
