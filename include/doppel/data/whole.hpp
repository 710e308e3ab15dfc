// SPDX-License-Identifier: Apache-2.0
// Opens a path as one data set, without splits.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/detail/layout.hpp>
#include <doppel/data/detail/reading.hpp>
#include <doppel/data/detail/relabeled.hpp>
#include <doppel/data/joined.hpp>
#include <doppel/data/progress.hpp>

#include <algorithm>
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

/// Opens whatever open() opens, but takes the images of all splits, in the order of their files; nothing is held out, and the
/// classes are those of all splits.
/// Throws Error as open() does; a path without a training split is no error here.
///
///     const auto photos = data::whole("photos").images;
inline Whole whole(const std::filesystem::path& path, const WholeOptions& options = {}) {
    auto layout = detail::layout_of(
        path, {.folders = options.folders, .unlabeled = options.unlabeled, .evaluation = true, .progress = options.progress});
    Whole found{.skipped = layout.survey.skipped, .notes = layout.survey.notes()};
    std::vector<Dataset> parts;
    std::vector<std::string> classes;  // of all parts
    for (auto* part : {&layout.train, &layout.validation, &layout.test}) {
        if (!*part) continue;
        auto loaded = detail::load(**part, options.unlabeled, classes);
        std::move(loaded.skipped.begin(), loaded.skipped.end(), std::back_inserter(found.skipped));
        std::move(loaded.notes.begin(), loaded.notes.end(), std::back_inserter(found.notes));
        found.format = loaded.format;
        for (const auto& name : loaded.data.classes())
            if (std::find(classes.begin(), classes.end(), name) == classes.end()) classes.push_back(name);
        parts.push_back(std::move(loaded.data));
    }
    for (auto& part : parts) {
        if (!part.classes().empty()) part = detail::under_classes(std::move(part), classes, path.string());
        found.images = found.images.empty() ? std::move(part) : Dataset(Joined(std::move(found.images), std::move(part)));
    }
    if (!layout.unused.empty() && !layout.test) found.notes.push_back("not used: " + layout.unused);
    require(!found.images.empty(), "data: ", path.string(), " has no images");
    return found;
}

}  // namespace doppel::data
