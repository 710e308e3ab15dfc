// SPDX-License-Identifier: Apache-2.0
// Finds the splits of data sets whose images are no files of their own.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/cifar.hpp>
#include <doppel/data/detail/idx_files.hpp>
#include <doppel/data/detail/reading.hpp>
#include <doppel/data/detail/split_names.hpp>
#include <doppel/data/detail/tar_paths.hpp>
#include <doppel/data/file_list.hpp>
#include <doppel/data/idx.hpp>
#include <doppel/data/joined.hpp>
#include <doppel/data/packed.hpp>
#include <doppel/data/split.hpp>
#include <doppel/data/stl10.hpp>
#include <doppel/data/tar_shards.hpp>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace doppel::data::detail {

/// A reader that drops the labels if it is asked to.
template <class Open>
auto reader_of(std::string format, Open open) {
    return [format = std::move(format), open = std::move(open)](bool unlabeled) {
        Dataset images = open();
        return Loaded{unlabeled ? without_labels(std::move(images)) : std::move(images), format};
    };
}

/// Finds the parts of STL-10. With `unlabeled`, the training images are those without labels and the labeled ones, which
/// keep their labels to be compared with; if there are only those without, they are the training images.
inline void add_stl10(Layout& layout, const std::filesystem::path& folder, bool unlabeled) {
    const auto has = [&](Stl10Part part) { return !stl10_images(folder, part).empty(); };
    const auto reader = [](auto open) { return [=](bool) { return Loaded{open(), "STL-10 binaries"}; }; };
    const bool train = has(Stl10Part::train), more = has(Stl10Part::without_labels);
    if (train && more && unlabeled)
        layout.train = Part{.path = folder, .name = "train_X.bin and unlabeled_X.bin", .reader = reader([=]() -> Dataset {
                                return Joined(Stl10(folder), Stl10(folder, Stl10Part::without_labels));
                            })};
    else if (train || more)
        layout.train = Part{.path = folder, .name = train ? "train_X.bin" : "unlabeled_X.bin", .reader = reader([=]() -> Dataset {
                                return Stl10(folder, train ? Stl10Part::train : Stl10Part::without_labels);
                            })};
    if (train && more && !unlabeled)
        layout.unused = "unlabeled_X.bin, " + counted(Stl10(folder, Stl10Part::without_labels).size()) + " (--unlabeled trains on them too)";
    if (has(Stl10Part::test))
        layout.validation = Part{.path = folder, .split = Split::test, .name = "test_X.bin", .reader = reader([=]() -> Dataset {
                                     return Stl10(folder, Stl10Part::test);
                                 })};
}

/// Finds the binaries and IDX files of a folder; no parts if there are none. `unlabeled`: see add_stl10().
inline Layout binaries_in(const std::filesystem::path& folder, bool unlabeled = false) {
    Layout layout;
    const auto add = [&](Split split, std::string name, std::function<Loaded(bool)> reader) {
        (split == Split::train ? layout.train : layout.validation) =
            Part{.path = folder, .split = split, .name = std::move(name), .reader = std::move(reader)};
    };
    for (const Split split : {Split::train, Split::test})
        if (!cifar_files(folder, split).empty())
            add(split, split == Split::train ? "data_batch_*.bin" : "test_batch.bin",
                reader_of("CIFAR-10 binaries", [=] { return Cifar10(folder, split); }));
    for (const Split split : {Split::train, Split::test})
        if (const auto* name = split == Split::train ? "train.bin" : "test.bin"; is_cifar100(folder / name))
            add(split, name, reader_of("CIFAR-100 binaries", [=] { return Cifar100(folder, split); }));
    if (layout.train || layout.validation) return layout;
    add_stl10(layout, folder, unlabeled);
    if (layout.train || layout.validation) return layout;
    for (const Split split : {Split::train, Split::test})
        if (const auto images = idx_images(folder, split); !images.empty())
            add(split, images.filename().string(), reader_of("IDX files", [=] { return idx_folder(folder, split); }));
    return layout;
}

/// Makes a part of tar files.
inline Part part_of_tars(const std::filesystem::path& path, Split split, std::string name, std::vector<std::filesystem::path> files,
                         const Progress& progress) {
    return {.path = path, .split = split, .name = std::move(name), .reader = [files = std::move(files), progress](bool unlabeled) {
                const TarShards shards(files, progress);
                return Loaded{unlabeled ? without_labels(shards) : shards, "tar shards", "", shards.skipped(), shards.notes()};
            }};
}

/// Finds the splits of tar files by their names, as train-0001.tar beside val-0001.tar; without such names all are trained on.
/// Throws Error where only some files have the name of a split.
inline Layout layout_of_tars(const std::filesystem::path& path, const std::vector<std::filesystem::path>& files, const Progress& progress) {
    std::vector<std::string> names;
    for (const auto& file : files) names.push_back(file.stem().string());
    const auto roles = roles_of(names);
    std::map<std::optional<Role>, std::vector<std::filesystem::path>> splits;
    for (std::size_t i = 0; i < files.size(); ++i) splits[roles[i]].push_back(files[i]);
    Layout layout;
    const auto named = [&](Role role) { return splits.contains(role); };
    const auto part = [&](std::optional<Role> role, Split split, const char* name) {
        const auto& of = splits.at(role);
        return part_of_tars(path, split, of.front().filename().string() + (of.size() > 1 ? std::string(", … (") + std::to_string(of.size()) + " " + name + "shards)" : ""),
                            of, progress);
    };
    if (splits.size() == 1 && splits.contains(std::nullopt)) {
        layout.train = part(std::nullopt, Split::train, "");
        return layout;
    }
    if (const auto others = splits.find(std::nullopt); others != splits.end())
        fail("data: ", path.string(), ": ", others->second.size(), " of ", files.size(), " tar files have no split in their names, the first is ",
             others->second.front().filename().string(), "; put each split into a folder of its own");
    if (named(Role::train)) layout.train = part(Role::train, Split::train, "training ");
    if (named(Role::validation))
        layout.validation = part(Role::validation, Split::test, "validation ");
    else if (named(Role::test))
        layout.validation = part(Role::test, Split::test, "test ");
    if (named(Role::validation) && named(Role::test))
        layout.unused = std::to_string(splits.at(Role::test).size()) + " test shards, kept for a final test";
    return layout;
}

/// Returns whether a folder holds binaries, IDX or tar files; false if it cannot be listed.
inline bool has_binaries(const std::filesystem::path& folder) {
    std::error_code problem;
    if (std::filesystem::directory_iterator(folder, problem); problem) return false;
    const auto layout = binaries_in(folder);
    return layout.train || layout.validation || !tars_in(folder).empty();
}

/// Makes the parts of a packed file.
inline Layout layout_of_packed(const std::filesystem::path& path) {
    const auto [train, validation] = Packed::both(path);
    const auto part = [&](Split split, const char* name) {
        return Part{.path = path, .split = split, .name = name + path.filename().string(),
                    .reader = reader_of("packed file", [=] { return Packed(path, split); })};
    };
    Layout layout;
    if (train.size() > 0) layout.train = part(Split::train, "the training images of ");
    if (validation.size() > 0) layout.validation = part(Split::test, "the validation images of ");
    return layout;
}

/// Makes the parts of a list of files.
inline Layout layout_of_list(const std::filesystem::path& list, const Progress& progress) {
    auto found = read_file_list(list, progress);
    const bool splits = !found.validation.empty() || !found.test.empty();
    const auto part = [&](Dataset images, Split split, const char* name) {
        return Part{.path = list, .split = split, .name = splits ? std::string("split ") + name : list.filename().string(),
                    .reader = reader_of("list of files", [images] { return images; })};
    };
    Layout layout;
    if (!found.train.empty()) layout.train = part(found.train, Split::train, "train");
    if (!found.validation.empty() && !found.test.empty())
        layout.unused = "split test, " + counted(found.test.size()) + ", kept for a final test";
    if (!found.validation.empty())
        layout.validation = part(found.validation, Split::test, "val");
    else if (!found.test.empty())
        layout.validation = part(found.test, Split::test, "test");
    layout.survey.skipped = std::move(found.skipped);
    return layout;
}

}  // namespace doppel::data::detail
