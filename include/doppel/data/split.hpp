// SPDX-License-Identifier: Apache-2.0
// Splits a data set into training and validation images.
#pragma once

#include <doppel/core/random.hpp>
#include <doppel/data/dataset.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <numeric>
#include <vector>

namespace doppel::data {

/// The splits of published data sets.
enum class Split { train, test };

/// Two disjoint parts of one data set, each in the data set's order.
struct HeldOut {
    Subset train, validation;
};

/// Holds out a tenth of the images, rounded down but at least one, stratified: each class contributes a tenth of its
/// images to within one; a class of one image keeps it. The choice depends on labels and seed only. Nothing is held out
/// of a single image.
///
///     auto [train, validation] = data::hold_out(photos, 1);
inline HeldOut hold_out(const Dataset& images, std::uint64_t seed) {
    struct Class {
        std::vector<std::int64_t> images;
        std::size_t take = 0;
    };
    std::map<std::int64_t, Class> by_label;
    for (std::int64_t i = 0; i < images.size(); ++i) by_label[images.label(i)].images.push_back(i);

    const auto size = static_cast<std::size_t>(images.size());
    std::size_t left = size < 2 ? 0 : std::max<std::size_t>(size / 10, 1);
    std::vector<Class*> order;
    for (auto& [label, group] : by_label) {
        random::Stream draw(
            {.seed = seed, .purpose = random::Purpose::split, .index = static_cast<std::uint64_t>(label + 1)});
        draw.shuffle(group.images);
        group.take = group.images.size() / 10;
        left -= group.take;
        order.push_back(&group);
    }
    // The remainder goes to the classes that lost most by rounding; one-image classes contribute only if alone.
    std::stable_sort(order.begin(), order.end(), [](const Class* a, const Class* b) {
        const bool single = a->images.size() == 1, other_single = b->images.size() == 1;
        return single != other_single ? other_single : a->images.size() % 10 > b->images.size() % 10;
    });
    for (std::size_t i = 0; i < order.size() && left > 0; ++i, --left) {
        if (order[i]->images.size() == 1 && i > 0) break;
        ++order[i]->take;
    }

    HeldOut parts{{images, {}}, {images, {}}};
    for (const auto& [label, group] : by_label)
        for (std::size_t i = 0; i < group.images.size(); ++i)
            (i < group.take ? parts.validation : parts.train).indices.push_back(group.images[i]);
    std::sort(parts.train.indices.begin(), parts.train.indices.end());
    std::sort(parts.validation.indices.begin(), parts.validation.indices.end());
    return parts;
}

}  // namespace doppel::data
