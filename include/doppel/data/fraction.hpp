// SPDX-License-Identifier: Apache-2.0
// A part of a data set that has the classes in the same proportions.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/random.hpp>
#include <doppel/data/dataset.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace doppel::data {

/// Chooses a fraction of the images, stratified: of each class, and of the unlabeled images, that fraction, rounded to
/// whole images, but at least one. The choice depends on labels and seed; a smaller fraction is a part of a larger one. The
/// images keep their order. Throws Error for a fraction that is not above 0 and at most 1.
///
///     data::Dataset tenth = data::stratified(photos, 0.1, 1);
inline Subset stratified(const Dataset& images, double fraction, std::uint64_t seed) {
    require(fraction > 0 && fraction <= 1, "data: the fraction of images must be above 0 and at most 1, got ", fraction);
    std::map<std::int64_t, std::vector<std::int64_t>> by_label;
    for (std::int64_t i = 0; i < images.size(); ++i) by_label[images.label(i)].push_back(i);
    Subset part{images, {}};
    for (auto& [label, members] : by_label) {
        random::Stream draw(
            {.seed = seed, .purpose = random::Purpose::split, .index = static_cast<std::uint64_t>(label + 1), .view = 1});
        draw.shuffle(members);
        const auto taken = std::max<std::int64_t>(std::llround(fraction * static_cast<double>(members.size())), 1);
        part.indices.insert(part.indices.end(), members.begin(), members.begin() + static_cast<std::ptrdiff_t>(taken));
    }
    std::sort(part.indices.begin(), part.indices.end());
    return part;
}

}  // namespace doppel::data
