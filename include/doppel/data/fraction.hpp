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
#include <span>
#include <vector>

namespace doppel::data {

/// Returns the places of a fraction of the labels, stratified: of each label (and of `unlabeled`) that fraction, rounded to
/// whole numbers, but at least one; ascending. The choice depends on labels and seed; a smaller fraction is a part of a larger
/// one. Throws Error for a fraction that is not above 0 and at most 1.
inline std::vector<std::int64_t> stratified_places(std::span<const std::int64_t> labels, double fraction, std::uint64_t seed) {
    require(fraction > 0 && fraction <= 1, "data: the fraction of images must be above 0 and at most 1, got ", fraction);
    std::map<std::int64_t, std::vector<std::int64_t>> by_label;
    for (std::size_t i = 0; i < labels.size(); ++i) by_label[labels[i]].push_back(static_cast<std::int64_t>(i));
    std::vector<std::int64_t> places;
    for (auto& [label, members] : by_label) {
        random::Stream draw(
            {.seed = seed, .purpose = random::Purpose::split, .index = static_cast<std::uint64_t>(label + 1), .view = 1});
        draw.shuffle(members);
        const auto taken = std::max<std::int64_t>(std::llround(fraction * static_cast<double>(members.size())), 1);
        places.insert(places.end(), members.begin(), members.begin() + static_cast<std::ptrdiff_t>(taken));
    }
    std::sort(places.begin(), places.end());
    return places;
}

/// Chooses a fraction of the images, stratified (see stratified_places). The images keep their order.
///
///     data::Dataset tenth = data::stratified(photos, 0.1, 1);
inline Subset stratified(const Dataset& images, double fraction, std::uint64_t seed) {
    std::vector<std::int64_t> labels;
    for (std::int64_t i = 0; i < images.size(); ++i) labels.push_back(images.label(i));
    return {images, stratified_places(labels, fraction, seed)};
}

}  // namespace doppel::data
