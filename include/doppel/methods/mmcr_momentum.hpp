// SPDX-License-Identifier: Apache-2.0
// MMCR with a momentum target.
#pragma once

#include <doppel/methods/mmcr.hpp>
#include <doppel/targets/ema.hpp>

namespace doppel::methods {

/// Options of MMCR-Momentum: MMCR's and the target's momentum.
struct MmcrMomentumOptions {
    MmcrOptions mmcr{};
    double momentum = 0.99;

    static constexpr auto fields() {
        return std::tuple(options::group(&MmcrMomentumOptions::mmcr),
                          momentum_field(&MmcrMomentumOptions::momentum, "EMA momentum of the target, the same throughout"));
    }
};

/// For images of about 32 px: MMCR's, and a target that follows quickly.
inline constexpr MmcrMomentumOptions mmcr_momentum_small{.mmcr = mmcr_small, .momentum = 0.9};

/// MMCR with an EMA target that sees the same views: a centroid is the mean of both branches. The authors' choice for
/// ImageNet, at the price of a second forward pass.
/// Source: as for mmcr; the authors' code.
///
///     auto preset = methods::mmcr_momentum(encoders::ResNet{.depth = 50}, {.mmcr = {.views = 2}});
template <class Encoder>
auto mmcr_momentum(Encoder encoder, const MmcrMomentumOptions& o = {}) {
    auto preset = mmcr(std::move(encoder), o.mmcr)
                      .with_target("mmcr_momentum", targets::Ema{.schedule = schedules::Constant{o.momentum},
                                                                 .timing = targets::EmaTiming::after_step});
    preset.options = options::to_json(o);
    return preset;
}

}  // namespace doppel::methods
