// SPDX-License-Identifier: Apache-2.0
// Finds the splits of a data set and reads them.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/cifar.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/detail/binaries.hpp>
#include <doppel/data/detail/folder.hpp>
#include <doppel/data/detail/idx_files.hpp>
#include <doppel/data/detail/gzip_file.hpp>
#include <doppel/data/detail/reading.hpp>
#include <doppel/data/detail/split_names.hpp>
#include <doppel/data/detail/tree.hpp>
#include <doppel/data/idx.hpp>
#include <doppel/data/image_folder.hpp>
#include <doppel/data/split.hpp>
#include <doppel/image/formats.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace doppel::data::detail {

/// The folders of a tree by what they can be. Pointers into the tree.
struct Folded {
    std::map<Role, std::vector<Tree*>> splits{};
    std::vector<Tree*> others{};  // with images

    bool has(Role role) const { return splits.contains(role); }
};

inline Folded folded(Tree& tree) {
    std::vector<Tree*> folders;
    std::vector<std::string> names;
    for (Tree& folder : tree.folders)
        if (folder.total > 0 || (split_name(folder.name()) && has_binaries(folder.path))) {
            folders.push_back(&folder);
            names.push_back(folder.name());
        }
    const auto roles = roles_of(names);
    Folded found;
    for (std::size_t i = 0; i < folders.size(); ++i) {
        if (roles[i])
            found.splits[*roles[i]].push_back(folders[i]);
        else if (folders[i]->total > 0)
            found.others.push_back(folders[i]);
    }
    return found;
}

/// Returns "a, b, … (12 folders)".
inline std::string listed(const std::vector<Tree*>& folders) {
    std::string text;
    for (std::size_t i = 0; i < std::min<std::size_t>(folders.size(), 3); ++i) text += (i ? ", " : "") + folders[i]->name();
    return folders.size() > 3 ? text + ", … (" + std::to_string(folders.size()) + " folders)" : text;
}

inline std::int64_t images_in(const std::vector<Tree*>& folders) {
    std::int64_t sum = 0;
    for (const Tree* folder : folders) sum += folder->total;
    return sum;
}

/// Replaces a folder whose only content is one folder of folders by that one, as archives often unpack; not one of
/// `kept`, which are classes elsewhere, and, without `part`, not a split.
inline void unwrap(Tree& tree, const std::vector<std::string>& kept, bool part) {
    while (tree.images.empty()) {
        const auto found = folded(tree);
        std::vector<Tree*> folders = found.others;
        for (const auto& [role, of_role] : found.splits) folders.insert(folders.end(), of_role.begin(), of_role.end());
        if (folders.size() != 1 || (!part && found.others.empty())) return;
        Tree& only = *folders.front();
        if (!only.images.empty() || std::find(kept.begin(), kept.end(), only.name()) != kept.end()) return;
        const bool deeper = std::any_of(only.folders.begin(), only.folders.end(), [](const Tree& t) { return t.total > 0; });
        if (!deeper) return;
        Tree inner = std::move(only);
        tree = std::move(inner);
    }
}

/// Turns class/train, class/test into train/class, test/class; nothing unless a class has both.
inline std::map<Role, Tree> splits_in_classes(Tree& tree) {
    const auto has_both = [](Tree& folder) {
        const auto inside = folded(folder);
        return inside.has(Role::train) && inside.splits.size() > 1;
    };
    std::map<Role, Tree> splits;
    if (std::none_of(tree.folders.begin(), tree.folders.end(), has_both)) return splits;
    for (Tree& folder : tree.folders)
        for (const auto& [role, parts] : folded(folder).splits) {
            Tree& split = splits.try_emplace(role, Tree{.path = tree.path}).first->second;
            Tree& of_class = split.folders.emplace_back(Tree{.path = folder.path});
            for (const Tree* part : parts) {
                of_class.folders.push_back(*part);
                of_class.total += part->total;
            }
            split.total += of_class.total;
        }
    return splits;
}

/// Makes the parts of a tree that has splits; what else is in it is trained on if there is no training split.
inline void take_splits(Layout& layout, Tree tree, const Folded& found) {
    for (const auto& [role, folders] : found.splits)
        require(folders.size() == 1, "data: ", tree.path.string(), " has the folders ", listed(folders),
                ", expected one of them; --folders classes takes all folders as classes");
    const auto part = [&](Role role, Split split) -> std::optional<Part> {
        const auto at = found.splits.find(role);
        if (at == found.splits.end()) return std::nullopt;
        Tree& folder = *at->second.front();
        return Part{folder.path, split, "folder " + folder.name(), std::move(folder)};
    };
    const auto loose = static_cast<std::int64_t>(tree.images.size());
    const auto test_name = found.has(Role::test) ? found.splits.at(Role::test).front()->name() : "";
    layout.validation = part(found.has(Role::validation) ? Role::validation : Role::test, Split::test);
    if (found.has(Role::validation) && found.has(Role::test)) layout.test = part(Role::test, Split::test);
    if (layout.test)
        layout.unused = "folder " + test_name + ", " + counted(layout.test->tree.total) +
                        ", kept for a final test (--val evaluates on it)";
    if (found.has(Role::train)) {
        layout.train = part(Role::train, Split::train);
        if (!found.others.empty())
            layout.unused += (layout.unused.empty() ? "" : "; ") + listed(found.others) + ", " + counted(images_in(found.others));
        if (loose > 0) layout.unused += (layout.unused.empty() ? "" : "; ") + counted(loose) + " beside the folders";
        return;
    }
    if (loose == 0 && found.others.empty()) return;
    Tree rest{.path = tree.path, .images = std::move(tree.images), .total = loose};
    for (Tree* folder : found.others) {
        rest.total += folder->total;
        rest.folders.push_back(std::move(*folder));
    }
    layout.train = Part{rest.path, Split::train, rest.path.string(), std::move(rest)};
}

/// Throws the Error for a folder that can be read in two ways.
[[noreturn]] inline void reject(const Tree& tree, const Folded& found) {
    std::vector<Tree*> splits;
    for (const auto& [role, folders] : found.splits) splits.insert(splits.end(), folders.begin(), folders.end());
    const auto loose = static_cast<std::int64_t>(tree.images.size());
    const auto named = [&](Role role) {
        const auto at = found.splits.find(role);
        return at == found.splits.end() ? "" : listed(at->second) + " (" + counted(images_in(at->second)) + ")";
    };
    const auto others = (found.others.empty() ? "" : listed(found.others) + " (" + counted(images_in(found.others)) + ")") +
                        (found.others.empty() || loose == 0 ? "" : " and ") +
                        (loose == 0 ? "" : std::to_string(loose) + (loose == 1 ? " loose image" : " loose images"));
    const auto training = named(Role::train), validation = named(found.has(Role::validation) ? Role::validation : Role::test);
    std::string text = ": --folders splits trains on " + (training.empty() ? others : training);
    if (!validation.empty()) text += (training.empty() ? " and" : ",") + std::string(" validates on ") + validation;
    if (!training.empty()) text += " and leaves out " + others;
    if (loose == 0) text += "; --folders classes takes all folders as classes (" + counted(tree.total) + ")";
    fail("data: ", tree.path.string(), ": ", listed(splits), splits.size() == 1 ? " can be a split" : " can be splits",
         loose == 0 ? (splits.size() == 1 ? " or a class" : " or classes") : "", ", next to ", others, text,
         "; --unlabeled takes every image, without labels");
}

/// Finds the splits in a tree of images. Throws Error where there is more than one way to read it.
inline void arrange(Layout& layout, Tree tree, const Reading& how) {
    unwrap(tree, {}, /*part=*/false);
    const auto whole = [&] { layout.train = Part{tree.path, Split::train, tree.path.string(), std::move(tree)}; };
    if (how.folders == Folders::classes) return whole();
    for (const Tree& folder : tree.folders)
        if (folder.total == 0 && split_name(folder.name()) && !has_binaries(folder.path))
            layout.survey.empty.push_back(folder.path.string());
    const auto found = folded(tree);
    if (!found.splits.empty()) {
        const bool alone = found.others.empty() && tree.images.empty();
        const bool clear = alone && found.has(Role::train) &&
                           std::all_of(found.splits.begin(), found.splits.end(), [](const auto& s) { return s.second.size() == 1; });
        if (how.folders == Folders::automatic && how.unlabeled && !clear) return whole();
        if (how.folders == Folders::automatic && !alone) reject(tree, found);
        return take_splits(layout, std::move(tree), found);
    }
    auto splits = how.unlabeled && how.folders == Folders::automatic ? std::map<Role, Tree>{} : splits_in_classes(tree);
    if (splits.empty()) {
        require(how.folders != Folders::splits || how.evaluation, "data: --folders splits: ", tree.path.string(),
                " has no folder whose name says train, val or test");
        return whole();
    }
    std::int64_t sum = 0;
    for (const auto& [role, split] : splits) sum += split.total;
    require(how.folders == Folders::splits, "data: ", tree.path.string(),
            ": the class folders hold folders named as splits: --folders splits trains on those named train (",
            counted(splits.at(Role::train).total), ") and validates on the others; --folders classes takes all images of each class (",
            counted(tree.total), ")");
    require(sum == tree.total, "data: ", tree.path.string(), ": ", counted(tree.total - sum),
            " of the class folders in no split, expected all in class/train, class/val or class/test");
    const auto validation = splits.contains(Role::validation) ? Role::validation : Role::test;
    if (splits.size() == 3) {
        layout.unused = "the folders named test, " + counted(splits.at(Role::test).total);
        layout.test = Part{tree.path, Split::test, "the folders named test", std::move(splits.at(Role::test))};
    }
    layout.train = Part{tree.path, Split::train, "the folders named train", std::move(splits.at(Role::train))};
    layout.validation = Part{tree.path, Split::test, "the other folders of each class", std::move(splits.at(validation))};
}

/// Finds the splits of a data set. Images count before tar files, which may be what they were unpacked from.
/// Throws Error if the path does not exist, and as arrange().
inline Layout layout_of(const std::filesystem::path& path, const Reading& how = {}) {
    std::error_code problem;
    const auto status = std::filesystem::status(path, problem);
    if (status.type() == std::filesystem::file_type::not_found)
        if (const auto shards = expand_braces(path); !shards.empty()) {
            Layout pattern;
            pattern.train = part_of_tars(path, Split::train, path.filename().string(), shards, how.progress);
            return pattern;
        }
    require(status.type() != std::filesystem::file_type::not_found, "data: no such file or folder: ", path.string());
    require(std::filesystem::status_known(status), "data: cannot read ", path.string(), ": ", problem.message());
    if (Packed::is_packed(path)) return layout_of_packed(path);
    if (!std::filesystem::is_directory(status)) {
        if (is_list_name(path)) return layout_of_list(path, how.progress);
        Layout file;
        const auto name = path.filename().string();
        file.train = is_tar(path) ? part_of_tars(path, Split::train, name, {path}, how.progress) : Part{.path = path, .name = name};
        return file;
    }
    auto layout = binaries_in(path, how.unlabeled);
    if (layout.train || layout.validation) return layout;
    Search search("data", how.progress);
    for (const auto& folder : how.left_out) search.leave_out(folder);
    auto tree = search.below(path);
    if (tree.total == 0)
        if (auto tars = tars_in(path); !tars.empty()) {
            std::erase_if(tars, [&](const auto& tar) {
                return std::any_of(how.left_out.begin(), how.left_out.end(), [&](const auto& other) {
                    std::error_code missing;
                    return std::filesystem::equivalent(tar, other, missing);
                });
            });
            return layout_of_tars(path, tars, how.progress);
        }
    if (folded(tree).splits.empty()) require_images(tree, search.survey, "data");
    layout.survey = std::move(search.survey);
    arrange(layout, std::move(tree), how);
    return layout;
}

/// Reads a data set from one file: CIFAR-10 binaries or IDX images.
inline Loaded load_file(const std::filesystem::path& path) {
    const auto start = image::detail::read_start(path, image::magic_bytes, "data");
    const auto head = GzipFile(path, "data").read(4);
    const auto is_idx = [&](std::uint8_t dimensions) { return head == std::vector<std::uint8_t>{0, 0, 8, dimensions}; };
    if (is_idx(3)) return {Idx(path, idx_labels_of(path)), "IDX files"};
    require(!is_idx(1), "data: ", path.string(), " contains labels, expected images");
    if (is_cifar100(path)) return {Cifar100(path), "CIFAR-100 binaries"};
    if (path.extension() == ".bin") return {Cifar10(path), "CIFAR-10 binaries"};
    require(!image::looks_like_image(start), "data: ", path.string(), " is one image, expected a folder of images");
    const std::string_view text(reinterpret_cast<const char*>(start.data()), start.size());
    require(!text.starts_with("\x1F\x8B") && !text.starts_with("PK\x03\x04"), "data: ", path.string(),
            " is an archive, expected its contents: unpack it first");
    fail("data: ", path.string(), " is not a data set, expected a folder of images, a list of files (.csv, .tsv, .txt), tar files, CIFAR or STL-10 binaries, or IDX files");
}

/// Reads a split from a file, or a folder of binaries or images. Of binaries it reads the part's split, or the other one if
/// that is missing. `classes` are those of another part of the data set.
inline Loaded load(Part& part, bool unlabeled = false, const std::vector<std::string>& classes = {}) {
    if (part.reader) return part.reader(unlabeled);
    if (!std::filesystem::is_directory(part.path)) return load_file(part.path);
    if (part.tree.total == 0) {
        auto inside = binaries_in(part.path, unlabeled);
        auto& own = part.split == Split::train ? inside.train : inside.validation;
        auto& other = part.split == Split::train ? inside.validation : inside.train;
        if (own) return own->reader(unlabeled);
        if (other) {
            auto loaded = other->reader(unlabeled);
            loaded.note = other->split == Split::train ? ", its training images" : ", its test images";
            return loaded;
        }
        if (const auto tars = tars_in(part.path); !tars.empty())
            return part_of_tars(part.path, part.split, part.name, tars, {}).reader(unlabeled);
    }
    unwrap(part.tree, classes, /*part=*/true);
    ImageFolder images(part.tree, {.labels = !unlabeled}, "data");
    require(images.size() > 0, "data: no ", image::readable_formats, " image in ", part.path.string());
    const bool has_classes = !images.classes().empty();
    return {std::move(images), has_classes ? "class folders" : "flat folder"};
}

}  // namespace doppel::data::detail
