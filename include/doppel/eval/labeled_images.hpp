// SPDX-License-Identifier: Apache-2.0
// What training a classifier asks of labeled images: checks, the augmented view, a part that is held out.
#pragma once

#include <doppel/augment/operations.hpp>
#include <doppel/augment/pipeline.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/random.hpp>
#include <doppel/data/dataset.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

namespace doppel::eval {

/// Throws Error unless there are images, at least two classes, and each image has a label among them. `what` names the
/// images: "training".
inline void require_labeled(std::string_view who, std::string_view what, const data::Dataset& images,
                            std::int64_t classes) {
    require(!images.empty(), who, ": there are no ", what, " images");
    require(classes >= 2, who, ": needs images of at least two classes, got ", classes, " class",
            classes == 1 ? "" : "es");
    std::int64_t without = 0, first = 0;
    for (std::int64_t i = 0; i < images.size(); ++i) {
        const auto label = images.label(i);
        require(label < classes, who, ": ", what, " image ", i, " has label ", label, ", the training images have ",
                classes, " classes; both parts must have the same classes in the same order");
        if (label != data::unlabeled) continue;
        if (without++ == 0) first = i;
    }
    require(without == 0, who, ": ", without, " of ", images.size(), " ", what,
            " images have no label (the first is image ", first, "); give labeled images only");
}

/// Returns the view that linear probes and fine-tuning train on: a random resized crop and a flip, with the size, channels,
/// normalization and resize kernel of the evaluation view.
///
///     augment::Pipeline view = eval::training_view(preset.views.eval);
inline augment::Pipeline training_view(const augment::Pipeline& eval_view, double min_scale = 0.08) {
    require(eval_view.size() > 0, "training_view: the evaluation pipeline is empty");
    image::Filter filter = image::Filter::bilinear;
    for (const auto& operation : eval_view.operations())
        if (const auto* resize = operation.as<augment::Resize>()) filter = resize->filter;
    return augment::Pipeline(
        {.size = eval_view.size(),
         .operations = {augment::RandomResizedCrop{.size = eval_view.size(), .scale = {min_scale, 1}, .filter = filter},
                        augment::HorizontalFlip{.p = 0.5}},
         .normalize = eval_view.normalize(),
         .channels = eval_view.channels()});
}

/// Returns the images that choose among options, in the data set's order: of each class a share, rounded to whole images,
/// but never its last one. The choice depends on labels and seed. Empty if no class has an image to spare.
///
///     std::vector<std::int64_t> held = eval::held_out(photos, 0.1, 1);
inline std::vector<std::int64_t> held_out(const data::Dataset& images, double share, std::uint64_t seed) {
    require(share > 0 && share < 1, "held_out: the share of images must be above 0 and below 1, got ", share);
    std::map<std::int64_t, std::vector<std::int64_t>> by_label;
    for (std::int64_t i = 0; i < images.size(); ++i) by_label[images.label(i)].push_back(i);
    std::vector<std::int64_t> held;
    for (auto& [label, members] : by_label) {
        random::Stream draw({.seed = seed,
                             .purpose = random::Purpose::split,
                             .index = static_cast<std::uint64_t>(label + 1),
                             .view = 2});
        draw.shuffle(members);
        const auto size = static_cast<std::int64_t>(members.size());
        const auto taken =
            std::clamp<std::int64_t>(std::llround(share * static_cast<double>(size)), size > 1 ? 1 : 0, size - 1);
        held.insert(held.end(), members.begin(), members.begin() + static_cast<std::ptrdiff_t>(taken));
    }
    std::sort(held.begin(), held.end());
    return held;
}

}  // namespace doppel::eval
