// SPDX-License-Identifier: Apache-2.0
// The two parts of a data set: to learn from, and to judge by.
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

/// The parts in which published data sets come.
enum class Split { train, test };

/// Two disjoint parts of one data set, each in the data set's order.
struct HeldOut {
    Subset train, validation;
};

/// Holds a tenth of the images out, rounded down but at least one, so that each class gives a tenth of its own to
/// within one image; a class of one image keeps it. Which images depends on the labels and the seed alone. Of one image
/// nothing is held out.
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
    // What rounding left goes to the classes that lost most by it; one-image classes give only when no other is there.
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
