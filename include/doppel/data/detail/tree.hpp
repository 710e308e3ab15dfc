// SPDX-License-Identifier: Apache-2.0
// Finds the images below a folder, and tells what it passed over.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/detail/file_kinds.hpp>
#include <doppel/data/detail/folder.hpp>
#include <doppel/data/progress.hpp>
#include <doppel/image/decode.hpp>
#include <doppel/image/detail/file.hpp>
#include <doppel/image/extensions.hpp>
#include <doppel/image/formats.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <list>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel::data::detail {

/// A folder with the images in it.
struct Tree {
    std::filesystem::path path;
    std::vector<std::string> images{};  // paths of those in the folder itself, sorted by their bytes
    std::list<Tree> folders{};          // sorted by the bytes of their names; some may hold no images
    std::int64_t total = 0;             // images in it, at any depth

    std::string name() const { return path.filename().string(); }
};

/// What a search passed over.
struct Survey {
    std::vector<std::string> skipped{};  // files and folders that might have held images, with the reason
    OtherFiles others{};
    std::vector<std::string> runs{}, left_out{};   // folders
    std::vector<std::string> empty{};              // folders named as splits, without images
    std::map<std::string, std::int64_t> system{};  // system folders by name
    std::int64_t repeated = 0;                     // links to images that count already

    /// Returns one line for each kind of thing.
    std::vector<std::string> notes() const {
        std::vector<std::string> lines;
        if (!others.empty()) lines.push_back("not images: " + others.text());
        if (!runs.empty())
            lines.push_back("skipped " + std::string(runs.size() == 1 ? "a run folder: " : std::to_string(runs.size()) + " run folders: ") +
                            runs.front() + (runs.size() > 1 ? ", …" : ""));
        std::string names;
        for (const auto& [name, count] : system)
            names += (names.empty() ? "" : ", ") + name + (count > 1 ? " (" + std::to_string(count) + ")" : "");
        if (!names.empty()) lines.push_back("skipped hidden and system folders: " + names);
        if (repeated > 0)
            lines.push_back(repeated == 1 ? "1 link leads to an image that is there already: counted once"
                                          : std::to_string(repeated) + " links lead to images that are there already: counted once");
        for (const auto& folder : empty) lines.push_back("no images in " + folder);
        for (const auto& folder : left_out) lines.push_back(folder + " is for evaluation: not trained on");
        return lines;
    }
};

/// Returns whether a folder of this name is made by a system, not by a person.
inline bool is_system_folder(std::string name) {
    for (char& c : name)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    constexpr std::array<std::string_view, 8> known{"@eadir",     "$recycle.bin", "lost+found", "__macosx",
                                                    "#recycle", "@recycle",     "system volume information", "__pycache__"};
    return std::find(known.begin(), known.end(), name) != known.end();
}

/// Returns whether a training run left these entries of a folder: at least two of the three that each run has.
inline bool is_run_folder(const std::vector<Entry>& entries) {
    int found = 0;
    for (const Entry& entry : entries) {
        const auto name = entry.path.filename().string();
        found += entry.is_folder ? name == "checkpoints" : name == "config.json" || name == "metrics.jsonl";
    }
    return found >= 2;
}

/// A search for images. The extension of a file decides; files with another extension than images and other known
/// kinds have, or with none, are looked into. A folder is entered once, by its own path rather than through a link.
class Search {
public:
    Search(std::string_view who, Progress progress) : who_(who), ticker_(std::move(progress)) {}

    /// Keeps a folder out of the search.
    void leave_out(const std::filesystem::path& folder) {
        if (const auto id = file_id(folder)) left_out_.insert(*id);
    }

    /// Returns the images below a folder. Throws Error if it cannot be listed.
    Tree below(const std::filesystem::path& root) {
        Tree tree{.path = root};
        entered_.first(root);
        walk(tree, /*linked=*/false, /*is_root=*/true);
        for (std::size_t i = 0; i < links_.size(); ++i) enter(*links_[i].first, links_[i].second, /*linked=*/true);
        std::set<FileId> known;
        if (!linked_.empty()) note_own(tree, known);
        settle(tree, known);
        return tree;
    }

    Survey survey{};

private:
    /// Returns false for the folder of a run.
    bool walk(Tree& tree, bool linked, bool is_root) {
        std::vector<std::string> hidden;
        std::vector<Entry> entries;
        try {
            entries = list(tree.path, who_, &hidden);
        } catch (const Error& problem) {
            if (is_root) throw;
            survey.skipped.emplace_back(problem.what());
            return true;
        }
        const bool is_run = is_run_folder(entries);
        if (is_run && !is_root) return false;
        for (auto& name : hidden) ++survey.system[std::move(name)];
        for (const Entry& entry : entries) {
            const auto name = entry.path.filename().string();
            if (is_run && (name == "attention.png" || name == "checkpoints" || name == "tensorboard")) continue;
            if (!entry.is_folder)
                add_file(tree, entry.path, linked || entry.is_link);
            else if (is_system_folder(name))
                ++survey.system[name];
            else if (entry.is_link)
                links_.emplace_back(&tree, entry.path);
            else
                enter(tree, entry.path, linked);
        }
        return true;
    }

    void enter(Tree& parent, const std::filesystem::path& folder, bool linked) {
        if (const auto id = file_id(folder); id && left_out_.contains(*id)) {
            survey.left_out.push_back(folder.string());
            return;
        }
        if (!entered_.first(folder)) return;
        parent.folders.push_back({.path = folder});
        if (walk(parent.folders.back(), linked, /*is_root=*/false)) return;
        survey.runs.push_back(folder.string());
        parent.folders.pop_back();
    }

    void add_file(Tree& tree, const std::filesystem::path& file, bool linked) {
        const auto extension = image::extension_of(file);
        if (image::is_other_image_extension(extension)) {
            const auto* info = image::format_of_extension(extension);
            survey.skipped.push_back(file.string() + ": " +
                                     (info ? image::why_unreadable(*info)
                                           : "unsupported image format, expected a " + image::readable_formats + " file"));
        } else if (image::is_readable_extension(extension) || (!file_kind(extension) && has_image(file))) {
            tree.images.push_back(file.native());
            if (linked) linked_.insert(file.native());
            ++found_;
            ticker_.tick([&] { return tree.path.string() + ": " + std::to_string(found_) + " images so far"; });
        } else {
            survey.others.add(extension);
        }
    }

    bool has_image(const std::filesystem::path& file) {
        try {
            const auto format = image::format_of(image::detail::read_start(file, image::magic_bytes, who_));
            if (!format || image::info_of(*format).readable) return format.has_value();
            survey.skipped.push_back(file.string() + ": " + image::why_unreadable(image::info_of(*format)));
            return false;
        } catch (const Error& problem) {
            survey.skipped.emplace_back(problem.what());
            return false;
        }
    }

    /// Collects the images that are reached without a link.
    void note_own(const Tree& tree, std::set<FileId>& known) const {
        for (const auto& image : tree.images)
            if (!linked_.contains(image))
                if (const auto id = file_id(image)) known.insert(*id);
        for (const Tree& folder : tree.folders) note_own(folder, known);
    }

    /// Removes links to images that count already, sorts, and counts.
    void settle(Tree& tree, std::set<FileId>& known) {
        survey.repeated += static_cast<std::int64_t>(std::erase_if(tree.images, [&](const std::string& image) {
            if (!linked_.contains(image)) return false;
            const auto id = file_id(image);
            return id && !known.insert(*id).second;
        }));
        tree.folders.sort([](const Tree& a, const Tree& b) { return a.path.native() < b.path.native(); });
        tree.total = static_cast<std::int64_t>(tree.images.size());
        for (Tree& folder : tree.folders) {
            settle(folder, known);
            tree.total += folder.total;
        }
    }

    std::string_view who_;
    Ticker ticker_;
    Entered entered_;
    std::set<FileId> left_out_;
    std::vector<std::pair<Tree*, std::filesystem::path>> links_;  // to folders: entered last
    std::set<std::string> linked_;                                // images reached through a link
    std::int64_t found_ = 0;
};

/// Throws Error unless there are images; the message tells what there is instead.
inline void require_images(const Tree& tree, const Survey& survey, std::string_view who) {
    if (tree.total > 0) return;
    std::string instead;
    if (!survey.skipped.empty()) instead = " (" + survey.skipped.front() + ")";
    if (!survey.others.empty()) instead += ", but " + survey.others.text();
    fail(who, ": no ", image::readable_formats, " image in ", tree.path.string(), instead);
}

}  // namespace doppel::data::detail
