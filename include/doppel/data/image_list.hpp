// SPDX-License-Identifier: Apache-2.0
// The images of a run as a file: a run that goes on sees the same ones in the same order, whatever became of the folder.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/joined.hpp>
#include <doppel/data/listed_images.hpp>
#include <doppel/data/open.hpp>

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace doppel::data {

/// The folders, or lists of files, that a data set was opened from, as open() was given them; an empty path for none.
struct Roots {
    std::filesystem::path data{}, val{}, bank{}, extra{};
};

namespace detail {

/// A field of a tab-separated line.
inline std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text)
        if (c == '\\' || c == '\t' || c == '\n')
            out += {'\\', c == '\t' ? 't' : c == '\n' ? 'n' : '\\'};
        else
            out += c;
    return out;
}

inline std::vector<std::string> fields_of(std::string_view line) {
    std::vector<std::string> fields(1);
    for (std::size_t i = 0; i < line.size(); ++i)
        if (line[i] == '\t')
            fields.emplace_back();
        else if (line[i] == '\\' && i + 1 < line.size())
            fields.back() += line[++i] == 't' ? '\t' : line[i] == 'n' ? '\n' : line[i];
        else
            fields.back() += line[i];
    return fields;
}

inline constexpr std::string_view list_head = "doppel images 1";

/// Files one behind the other that are below one root, with its name.
struct Run {
    std::string root_name;
    std::filesystem::path root;
    std::vector<ListedFile> files{};
};

/// The folder that paths are relative to: that of the list, where the root is a list of files.
inline std::filesystem::path folder_of_root(const std::filesystem::path& root) {
    std::error_code ignored;
    return std::filesystem::is_regular_file(root, ignored) ? root.parent_path() : root;
}

/// Returns a part's files by the roots that they are below; nothing if an image has no file below one.
inline std::optional<std::vector<Run>> listed_below(const Dataset& images, const Roots& roots) {
    std::vector<Run> bases;
    for (const auto& [name, root] : {std::pair("val", roots.val), std::pair("bank", roots.bank), std::pair("extra", roots.extra),
                                     std::pair("data", roots.data)})
        if (!root.empty()) bases.push_back({name, folder_of_root(root)});
    std::vector<Run> runs;
    for (std::int64_t i = 0; i < images.size(); ++i) {
        std::optional<ListedFile> file;
        if (!runs.empty()) file = listed_file(images, i, runs.back().root);
        for (auto base = bases.begin(); !file && base != bases.end(); ++base)
            if ((file = listed_file(images, i, base->root))) runs.push_back(*base);
        if (!file) return std::nullopt;
        runs.back().files.push_back(*std::move(file));
    }
    return runs;
}

/// The images of several runs as one data set.
inline Dataset images_of(const std::vector<Run>& runs, const std::vector<std::string>& classes) {
    Dataset all;
    for (const auto& run : runs) {
        Dataset images = ListedImages(run.root, run.files, classes);
        all = all.empty() ? images : Dataset(Joined(all, images));
    }
    return all;
}

/// Throws Error for files that are not those of the list any more; names those that are gone in `skipped`.
inline void compare(const std::vector<Run>& runs, std::vector<std::string>& skipped) {
    std::string changed, first;
    std::int64_t others = -1, gone = 0, all = 0;
    for (const auto& run : runs)
        for (const auto& file : run.files) {
            std::error_code missing;
            const auto path = (run.root / file.path).string();
            const auto bytes = std::filesystem::file_size(path, missing);
            ++all;
            if (missing) {
                if (gone++ == 0) first = path;
                skipped.push_back(path + ": gone since the run began; another image stands in for it");
            } else if (bytes != file.bytes && ++others == 0) {
                changed = path + " has " + std::to_string(bytes) + " bytes, it had " + std::to_string(file.bytes);
            }
        }
    require(changed.empty(), "data: images have changed since the run began: ", changed,
            others > 0 ? " (and " + std::to_string(others) + " more)" : "", "; a run that goes on must see the same images");
    require(2 * gone <= all || gone <= 1, "data: ", gone, " of the run's ", all, " images are gone, the first is ", first,
            "; is --data the right folder?");
}

}  // namespace detail

/// Returns the splits as a text for load_list(), and makes them read by it: nothing, and the splits as they are, where
/// images are no files of their own (CIFAR-10 binaries, embedded images). `options` is what the choice of images depends on.
inline std::string save_list(Splits& splits, const Roots& roots, const std::string& options) {
    std::string text(detail::list_head);
    const auto line = [&](std::initializer_list<std::string> fields) {
        text += '\n';
        for (const auto& field : fields) text += (text.back() == '\n' ? "" : "\t") + detail::escaped(field);
    };
    line({"options", options});
    line({"format", splits.format});
    line({"split_rule", splits.split_rule});
    std::array<Dataset*, 3> parts{&splits.train, &splits.validation, &splits.bank};
    std::array<Dataset, 3> lists;
    for (std::size_t p = 0; p < 3; ++p) {
        if (parts[p]->empty()) continue;
        const auto found = detail::listed_below(*parts[p], roots);
        if (!found) return "";
        const std::string part(std::array{"train", "validation", "bank"}[p]);
        const auto classes = parts[p]->classes();
        for (const auto& name : classes) line({"class", part, name});
        for (const auto& run : *found)
            for (const auto& file : run.files)
                line({part, run.root_name, std::to_string(file.label), std::to_string(file.bytes), file.path});
        lists[p] = detail::images_of(*found, classes);
    }
    for (std::size_t p = 0; p < 3; ++p)
        if (!lists[p].empty()) *parts[p] = lists[p];
    return text + "\n";
}

/// Reads such a text from a file. Images that are gone keep their places and are named in Splits::skipped.
/// Returns nothing if there is no such file, or if it was made with other `options`.
/// Throws Error for a file that is no list, for images whose size has changed, and if most images are gone.
inline std::optional<Splits> load_list(const std::filesystem::path& file, const Roots& roots, const std::string& options) {
    std::ifstream opened(file, std::ios::binary);
    if (!opened) return std::nullopt;
    std::stringstream in;
    in << opened.rdbuf();
    const auto require_valid = [&](bool valid, std::size_t number) {
        require(valid, file.string(), ":", number, ": not a line of a run's list of images; restore the file, or remove it");
    };
    struct Part {
        std::vector<detail::Run> runs{};
        std::vector<std::string> classes{};
    };
    const std::map<std::string, std::filesystem::path> folders{{"data", detail::folder_of_root(roots.data)},
                                                               {"val", detail::folder_of_root(roots.val)},
                                                               {"bank", detail::folder_of_root(roots.bank)},
                                                               {"extra", detail::folder_of_root(roots.extra)}};
    std::map<std::string, Part> parts{{"train", {}}, {"validation", {}}, {"bank", {}}};
    Splits splits;
    splits.list = in.str();
    std::string text;
    std::getline(in, text);
    require_valid(text == detail::list_head, 1);
    for (std::size_t number = 2; std::getline(in, text); ++number) {
        const auto fields = detail::fields_of(text);
        const auto& kind = fields[0];
        if (kind == "options" && fields.size() == 2) {
            if (fields[1] != options) return std::nullopt;
        } else if (kind == "format" && fields.size() == 2) {
            splits.format = fields[1];
        } else if (kind == "split_rule" && fields.size() == 2) {
            splits.split_rule = fields[1];
        } else if (kind == "class" && fields.size() == 3 && parts.contains(fields[1])) {
            parts[fields[1]].classes.push_back(fields[2]);
        } else {
            require_valid(parts.contains(kind) && fields.size() == 5 && folders.contains(fields[1]), number);
            auto& part = parts[kind];
            if (part.runs.empty() || part.runs.back().root_name != fields[1]) part.runs.push_back({fields[1], folders.at(fields[1])});
            ListedFile listed{.path = fields[4]};
            const auto read = [&](const std::string& digits, auto& value) {
                const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
                require_valid(problem == std::errc{} && end == digits.data() + digits.size(), number);
            };
            read(fields[2], listed.label);
            read(fields[3], listed.bytes);
            require_valid(listed.label >= unlabeled && listed.label < static_cast<std::int64_t>(part.classes.size()), number);
            part.runs.back().files.push_back(std::move(listed));
        }
    }
    for (const auto& [name, images] : {std::pair("train", &splits.train), std::pair("validation", &splits.validation), std::pair("bank", &splits.bank)}) {
        auto& part = parts[name];
        if (part.runs.empty()) continue;
        detail::compare(part.runs, splits.skipped);
        *images = detail::images_of(part.runs, part.classes);
    }
    require_valid(!splits.train.empty(), 1);
    return splits;
}

}  // namespace doppel::data
