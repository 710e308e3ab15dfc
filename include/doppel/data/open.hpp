// SPDX-License-Identifier: Apache-2.0
// Opens a path as a training and a validation set.
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

/// A training and a validation set, with their origin.
struct Splits {
    Dataset train;                       ///< training images
    Dataset validation;                  ///< validation images; labels index the classes of train
    std::string format;                  ///< "class folders", "flat folder", "CIFAR-10 binaries" or "IDX files"
    std::string split_rule;              ///< one line: where the validation images come from, and what is not used
    std::vector<std::string> skipped{};  ///< files that look like images by name but are not, with the reason
};

struct OpenOptions {
    std::uint64_t seed = 0;  ///< selects the held-out images if there is no validation split
};

namespace detail {

inline std::string counted(std::int64_t images) {
    return std::to_string(images) + (images == 1 ? " image" : " images");
}

/// Moves a tenth of splits.train to splits.validation.
inline void split_off(Splits& splits, std::uint64_t seed) {
    auto [train, validation] = hold_out(splits.train, seed);
    splits.split_rule = validation.indices.empty() ? "nothing held out: there is only one image"
                                            : "held out " + std::to_string(validation.size()) + " of " +
                                                  counted(splits.train.size()) + ": no validation split found";
    splits.train = std::move(train);
    splits.validation = std::move(validation);
}

}  // namespace detail

/// Opens the data set at `path`, recognized by its content: a folder of CIFAR-10 binaries or IDX files, or one such
/// file; a folder with a subfolder per class; a flat folder of images (unlabeled).
///
/// Subfolders named train, val, validation or test, in any case, are splits, not classes. Validation images come from
/// `validation` if given (if it has splits, from its validation or test split, else from its train split), else from the
/// val or validation split, else from the test split, else a tenth of each class is held out (hold_out).
/// Splits::split_rule says which it was, and which splits are not used.
/// Validation labels are mapped to those of the training set by class name.
///
/// Throws Error: no such path, no known format, a test or validation split without a train split, a validation class
/// that the training set lacks, and the errors of the readers.
///
///     const auto splits = data::open("photos");
inline Splits open(const std::filesystem::path& path,
                   const std::optional<std::filesystem::path>& validation = std::nullopt, OpenOptions options = {}) {
    const auto layout = detail::layout_of(path);
    require(layout.train.has_value(), "data: ", path.string(), " has ",
            layout.validation ? layout.validation->name : "no split", ", but no training images");
    auto [train, format, skipped, train_note] = detail::load(*layout.train);
    Splits splits{std::move(train), {}, std::move(format), {}, std::move(skipped)};
    std::string unused = layout.ignored;

    std::optional<detail::Part> part = layout.validation;
    if (validation) {
        const auto other = detail::layout_of(*validation);
        const auto own = std::exchange(part, other.validation ? other.validation : other.train);
        if (own && own->path != part->path) unused = own->name + (unused.empty() ? "" : ", ") + unused;
        const bool unsplit = !other.validation && part->path == *validation;
        part->name = unsplit ? validation->string() : part->name + " of " + validation->string();
    }
    if (!part) {
        detail::split_off(splits, options.seed);
    } else {
        auto loaded = detail::load(*part);
        splits.validation = std::move(loaded.data);
        splits.skipped.insert(splits.skipped.end(), loaded.skipped.begin(), loaded.skipped.end());
        splits.split_rule = "validation: " + part->name + loaded.note + ", " + detail::counted(splits.validation.size());
        const auto classes = splits.train.classes();
        if (splits.validation.classes().empty()) {
            if (!classes.empty()) splits.split_rule += ", without labels";
        } else if (classes.empty()) {
            splits.validation = detail::Relabeled{splits.validation, {}, {}};
            splits.split_rule += ", labels ignored: the training images have none";
        } else {
            splits.validation = detail::under_classes(splits.validation, classes, part->path.string());
        }
    }
    if (!train_note.empty()) splits.split_rule = "training: " + layout.train->name + train_note + "; " + splits.split_rule;
    if (!unused.empty()) splits.split_rule += "; not used: " + unused;
    return splits;
}

}  // namespace doppel::data
