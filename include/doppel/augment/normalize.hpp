// SPDX-License-Identifier: Apache-2.0
// Means and deviations of data sets that the papers use.
#pragma once

#include <doppel/core/normalize.hpp>

namespace doppel::augment {

using doppel::most_channels;
using doppel::Normalize;

inline constexpr Normalize imagenet_normalize{};
inline constexpr Normalize swav_normalize{.std = {0.228, 0.224, 0.225}};
inline constexpr Normalize cifar10_normalize{.mean = {0.4914, 0.4822, 0.4465}, .std = {0.2023, 0.1994, 0.2010}};
/// Keeps inputs in [0, 1].
inline constexpr Normalize unit_normalize{.mean = {0, 0, 0}, .std = {1, 1, 1}};

}  // namespace doppel::augment
