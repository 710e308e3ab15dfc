// SPDX-License-Identifier: Apache-2.0
// Splits a data set into training and validation images.
#pragma once

#include <doppel/core/random.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/detail/decodable.hpp>
#include <doppel/data/progress.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel::data {

/// The splits of published data sets.
enum class Split { train, test };

/// What the folders in a folder of images are. Automatic: splits by their names, else classes.
enum class Folders { automatic, classes, splits };
constexpr std::array<std::string_view, 3> option_names(Folders) { return {"auto", "classes", "splits"}; }

/// Two disjoint parts of one data set, each in the data set's order.
struct HeldOut {
    Subset train, validation;
};

/// Holds out a tenth of the images, rounded down but at least one, stratified: each class contributes a tenth of its
/// images to within one; a class of one image keeps it; beside labeled images, unlabeled ones are not held out. The choice depends on labels, seed and, because held-out images
/// are decoded and damaged ones stay in the training part, on which images can be decoded. Each class keeps an image
/// that can be. Nothing is held out where fewer than two images can be decoded.
///
///     auto [train, validation] = data::hold_out(photos, 1);
inline HeldOut hold_out(const Dataset& images, std::uint64_t seed, const Progress& progress = {}) {
    struct Class {
        std::vector<std::int64_t> images;
        std::size_t take = 0, looked_at = 0;
        std::vector<std::int64_t> whole{};  // of the first looked_at
    };
    std::map<std::int64_t, Class> by_label;
    for (std::int64_t i = 0; i < images.size(); ++i) by_label[images.label(i)].images.push_back(i);
    if (by_label.size() > 1) by_label.erase(unlabeled);

    std::size_t size = 0;
    for (const auto& [label, group] : by_label) size += group.images.size();
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
        if (order[i]->images.size() == 1) break;
        ++order[i]->take;
    }

    detail::Decodable decodable(images, progress);
    std::vector<std::int64_t> first;
    for (const Class* group : order)
        first.insert(first.end(), group->images.begin(), group->images.begin() + static_cast<std::ptrdiff_t>(group->take));
    decodable.look_at(first);
    const auto has_whole = [&](Class& group, std::size_t count) {  // looks as far as needed
        for (; group.whole.size() < count && group.looked_at < group.images.size(); ++group.looked_at)
            if (decodable(group.images[group.looked_at])) group.whole.push_back(group.images[group.looked_at]);
        return group.whole.size() >= count;
    };
    std::size_t wanted = 0, held = 0;
    for (Class* group : order) {
        wanted += group->take;
        while (group->take > 0 && !has_whole(*group, group->take + 1)) --group->take;  // one stays for training
        held += group->take;
    }
    for (bool more = true; more && held < wanted;) {  // what damaged images left open comes from other classes
        more = false;
        for (std::size_t i = 0; i < order.size() && held < wanted; ++i)
            if (has_whole(*order[i], order[i]->take + 2)) {
                ++order[i]->take;
                ++held;
                more = true;
            }
    }
    if (held == 0) {  // classes of one image each: one gives its own, if another class has one
        std::vector<Class*> givers;
        for (std::size_t i = 0; i < order.size() && givers.size() < 2; ++i)
            if (has_whole(*order[i], 1)) givers.push_back(order[i]);
        if (givers.size() == 2) givers.front()->take = 1;
    }

    HeldOut parts{{images, {}}, {images, {}}};
    for (const auto& [label, group] : by_label)
        parts.validation.indices.insert(parts.validation.indices.end(), group.whole.begin(),
                                        group.whole.begin() + static_cast<std::ptrdiff_t>(group.take));
    std::sort(parts.validation.indices.begin(), parts.validation.indices.end());
    for (std::int64_t i = 0; i < images.size(); ++i)
        if (!std::binary_search(parts.validation.indices.begin(), parts.validation.indices.end(), i))
            parts.train.indices.push_back(i);
    return parts;
}

}  // namespace doppel::data
