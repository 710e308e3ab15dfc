// SPDX-License-Identifier: Apache-2.0
// A path becomes a data set to train on and one to judge by.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/detail/layout.hpp>
#include <doppel/data/detail/relabeled.hpp>
#include <doppel/data/split.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace doppel::data {

/// What open() found.
struct Splits {
    Dataset train;       ///< images to learn from
    Dataset validation;  ///< images to judge by; labels index the same classes as those of train
    std::string format;  ///< "class folders", "flat folder", "CIFAR-10 binaries" or "IDX files"
    std::string split_rule;  ///< one line: where the validation images come from, and what was left aside
    std::vector<std::string> skipped{};  ///< files that were probably meant to be images, with what is wrong
};

struct OpenOptions {
    std::uint64_t seed = 0;  ///< chooses the images that are held out where there is no validation split
};

namespace detail {

inline std::string counted(std::int64_t images) {
    return std::to_string(images) + (images == 1 ? " image" : " images");
}

/// Holds a tenth back from splits.train.
inline void split_off(Splits& splits, std::uint64_t seed) {
    auto [train, validation] = hold_out(splits.train, seed);
    splits.split_rule = validation.indices.empty() ? "nothing held out: there is only one image"
                                            : "held out " + std::to_string(validation.size()) + " of " +
                                                  counted(splits.train.size()) + ": no validation split found";
    splits.train = std::move(train);
    splits.validation = std::move(validation);
}

}  // namespace detail

/// The data set at `path`, recognized by its content: a folder of CIFAR-10 binaries or IDX files, or one such file; a
/// folder with a folder for each class; a flat folder of images, which are then unlabeled.
///
/// Folders in it that are named train, val, validation or test, in whatever case, are splits, not classes. Validation
/// images come from `validation` when given (of several splits there its validation or test split), else from the val
/// or validation split, else from the test split; else a tenth of each class is held out (hold_out).
/// Validation labels are turned into the training set's by the names of the classes.
///
/// Throws Error in one line: no such path, nothing in it that is known, a test or validation split without a train
/// split, a validation class that the training set lacks, and what the readers throw.
///
///     const auto splits = data::open("photos");
inline Splits open(const std::filesystem::path& path,
                   const std::optional<std::filesystem::path>& validation = std::nullopt, OpenOptions options = {}) {
    const auto layout = detail::layout_of(path);
    require(layout.train.has_value(), "data: ", path.string(), " has ",
            layout.validation ? layout.validation->name : "no split", ", but no training images beside it");
    auto [train, format, skipped] = detail::load(*layout.train);
    Splits splits{std::move(train), {}, std::move(format), {}, std::move(skipped)};

    std::optional<detail::Part> part = layout.validation;
    if (validation) {
        const auto other = detail::layout_of(*validation);
        part = other.validation ? other.validation : other.train;
        const bool whole = !other.validation && part->path == *validation;
        part->name = whole ? validation->string() : part->name + " of " + validation->string();
    }
    if (!part) {
        detail::split_off(splits, options.seed);
    } else {
        auto loaded = detail::load(*part);
        splits.validation = std::move(loaded.data);
        splits.skipped.insert(splits.skipped.end(), loaded.skipped.begin(), loaded.skipped.end());
        splits.split_rule = "validation: " + part->name + ", " + detail::counted(splits.validation.size());
        const auto classes = splits.train.classes();
        if (splits.validation.classes().empty()) {
            if (!classes.empty()) splits.split_rule += ", without labels";
        } else if (classes.empty()) {
            splits.validation = detail::Relabeled{splits.validation, {}, {}};
            splits.split_rule += ", labels left aside: the training images have none";
        } else {
            splits.validation = detail::under_classes(splits.validation, classes, part->path.string());
        }
    }
    if (!layout.ignored.empty()) splits.split_rule += "; not used: " + layout.ignored;
    return splits;
}

}  // namespace doppel::data
