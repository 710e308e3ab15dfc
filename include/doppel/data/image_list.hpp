// SPDX-License-Identifier: Apache-2.0
// The images of a run as a file: a run that goes on sees the same ones in the same order, whatever became of the folder.
#pragma once

#include <doppel/core/error.hpp>
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

/// The folders that a data set was opened from, as open() was given them; an empty path for none.
struct Roots {
    std::filesystem::path data{}, val{}, bank{};
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

/// The root of a part's files: the first that all of them are below.
inline std::optional<std::pair<std::string, ListedImages>> listed_below(const Dataset& images, const Roots& roots) {
    for (const auto& [name, root] : {std::pair("val", roots.val), std::pair("bank", roots.bank), std::pair("data", roots.data)})
        if (!root.empty())
            if (auto found = listed(images, root)) return std::pair(std::string(name), *std::move(found));
    return std::nullopt;
}

/// Throws Error for files that are not those of the list any more; names those that are gone in `skipped`.
inline void compare(const ListedImages& images, std::vector<std::string>& skipped) {
    std::string changed, first;
    std::int64_t others = -1, gone = 0;
    for (std::int64_t i = 0; i < images.size(); ++i) {
        std::error_code missing;
        const auto bytes = std::filesystem::file_size(images.path(i), missing);
        const auto listed = images.files()[static_cast<std::size_t>(i)].bytes;
        if (missing) {
            if (gone++ == 0) first = images.path(i).string();
            skipped.push_back(images.path(i).string() + ": gone since the run began; another image stands in for it");
        } else if (bytes != listed) {
            if (++others == 0)
                changed = images.path(i).string() + " has " + std::to_string(bytes) + " bytes, it had " + std::to_string(listed);
        }
    }
    require(changed.empty(), "data: images have changed since the run began: ", changed,
            others > 0 ? " (and " + std::to_string(others) + " more)" : "", "; a run that goes on must see the same images");
    require(2 * gone <= images.size() || gone <= 1, "data: ", gone, " of the run's ", images.size(), " images are gone, the first is ", first,
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
        for (const auto& name : found->second.classes()) line({"class", part, name});
        for (const auto& file : found->second.files())
            line({part, found->first, std::to_string(file.label), std::to_string(file.bytes), file.path});
        lists[p] = found->second;
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
        std::filesystem::path root{};
        std::vector<ListedFile> files{};
        std::vector<std::string> classes{};
    };
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
            require_valid(parts.contains(kind) && fields.size() == 5, number);
            auto& part = parts[kind];
            part.root = fields[1] == "val" ? roots.val : fields[1] == "bank" ? roots.bank : roots.data;
            ListedFile listed{.path = fields[4]};
            const auto read = [&](const std::string& digits, auto& value) {
                const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
                require_valid(problem == std::errc{} && end == digits.data() + digits.size(), number);
            };
            read(fields[2], listed.label);
            read(fields[3], listed.bytes);
            require_valid(listed.label >= unlabeled && listed.label < static_cast<std::int64_t>(part.classes.size()), number);
            part.files.push_back(std::move(listed));
        }
    }
    for (const auto& [name, images] : {std::pair("train", &splits.train), std::pair("validation", &splits.validation), std::pair("bank", &splits.bank)}) {
        auto& part = parts[name];
        if (part.files.empty()) continue;
        const ListedImages listed(part.root, std::move(part.files), std::move(part.classes));
        detail::compare(listed, splits.skipped);
        *images = listed;
    }
    require_valid(!splits.train.empty(), 1);
    return splits;
}

}  // namespace doppel::data
