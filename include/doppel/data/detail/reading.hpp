// SPDX-License-Identifier: Apache-2.0
// What a search for data sets finds: parts that can be loaded.
#pragma once

#include <doppel/data/dataset.hpp>
#include <doppel/data/detail/relabeled.hpp>
#include <doppel/data/detail/tree.hpp>
#include <doppel/data/progress.hpp>
#include <doppel/data/split.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace doppel::data::detail {

/// How a path is to be read.
struct Reading {
    Folders folders = Folders::automatic;
    bool unlabeled = false;                           // folders are no classes
    bool evaluation = false;                          // splits may be missing
    std::vector<std::filesystem::path> left_out{};    // not searched
    Progress progress{};
};

struct Loaded {
    Dataset data;
    std::string format;
    std::string note{};  // ", its training images", where these are read as a validation split, or the other way round
    std::vector<std::string> skipped{}, notes{};  // as those of Splits
};

/// A split that load() can read, with its name for messages.
struct Part {
    std::filesystem::path path;
    Split split = Split::train;
    std::string name;
    Tree tree{};  // its images, if it is a folder of images
    std::function<Loaded(bool unlabeled)> reader{};  // reads it, if it is no folder of images
};

struct Layout {
    std::optional<Part> train, validation;
    std::optional<Part> test{};  // where it is neither of them, of a folder of images
    std::string unused{};  // what is there beside the splits
    Survey survey{};
};

inline std::string counted(std::int64_t images) {
    return std::to_string(images) + (images == 1 ? " image" : " images");
}

inline Dataset without_labels(Dataset images) { return Relabeled{std::move(images), {}, {}}; }

}  // namespace doppel::data::detail
