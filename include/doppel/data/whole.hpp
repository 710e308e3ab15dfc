// SPDX-License-Identifier: Apache-2.0
// Opens a path as one data set, without splits.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/detail/layout.hpp>
#include <doppel/data/detail/reading.hpp>
#include <doppel/data/joined.hpp>
#include <doppel/data/progress.hpp>

#include <filesystem>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace doppel::data {

/// All images of a path.
struct Whole {
    Dataset images{};                    ///< those of the training split first, where there are splits
    std::string format{};                ///< "class folders", "flat folder", "list of files", "tar shards", …
    std::vector<std::string> skipped{};  ///< files and folders that may hold images but cannot be used, with the reason
    std::vector<std::string> notes{};    ///< what else was passed over: one line for each kind of thing
};

struct WholeOptions {
    Folders folders = Folders::automatic;  ///< what the folders are, where their names leave it open
    bool unlabeled = false;                ///< folders are no classes: every image of the tree, without labels
    Progress progress{};                   ///< lines about a search that takes long
};

/// Opens whatever open() opens, but takes the images of all splits, in the order of their files; nothing is held out.
/// Throws Error as open() does; a path without a training split is no error here.
///
///     const auto photos = data::whole("photos").images;
inline Whole whole(const std::filesystem::path& path, const WholeOptions& options = {}) {
    auto layout = detail::layout_of(
        path, {.folders = options.folders, .unlabeled = options.unlabeled, .evaluation = true, .progress = options.progress});
    Whole found{.skipped = layout.survey.skipped, .notes = layout.survey.notes()};
    const auto take = [&](detail::Part& part) {
        auto loaded = detail::load(part, options.unlabeled, found.images.classes());
        std::move(loaded.skipped.begin(), loaded.skipped.end(), std::back_inserter(found.skipped));
        std::move(loaded.notes.begin(), loaded.notes.end(), std::back_inserter(found.notes));
        found.format = loaded.format;
        found.images = found.images.empty() ? std::move(loaded.data) : Dataset(Joined(std::move(found.images), std::move(loaded.data)));
    };
    for (auto* part : {&layout.train, &layout.validation, &layout.test})
        if (*part) take(**part);
    if (!layout.unused.empty() && !layout.test) found.notes.push_back("not used: " + layout.unused);
    require(!found.images.empty(), "data: ", path.string(), " has no images");
    return found;
}

}  // namespace doppel::data
