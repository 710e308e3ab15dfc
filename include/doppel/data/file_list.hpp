// SPDX-License-Identifier: Apache-2.0
// Lists of image files with labels: CSV, TSV and text.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/detail/delimited.hpp>
#include <doppel/data/detail/label_texts.hpp>
#include <doppel/data/detail/split_names.hpp>
#include <doppel/data/listed_images.hpp>
#include <doppel/data/progress.hpp>
#include <doppel/image/detail/file.hpp>
#include <doppel/image/extensions.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace doppel::data {

/// The images of a list: by its column of splits; without one all are training images. Empty: no such rows.
struct FileList {
    Dataset train{}, validation{}, test{};
    std::vector<std::string> skipped{};  ///< files of the list that are not there, with their lines
};

namespace detail {

/// Returns whether a file's extension is that of a list.
inline bool is_list_name(const std::filesystem::path& file) {
    const auto extension = image::extension_of(file);
    return extension == ".csv" || extension == ".tsv" || extension == ".txt";
}

/// A row of a list: what its columns say.
struct ListRow {
    std::size_t line = 0;
    std::string path{}, label{};
    std::optional<std::string> split{};  // nothing: the list has no such column
};

/// Which columns of a list hold what; none: -1.
struct Columns {
    int path = 0, label = 1, split = -1;
    bool named = false;
};

/// Reads the first record of a list as names of columns; nothing if none of them names the files.
inline std::optional<Columns> columns_of(const std::vector<std::string>& names) {
    using namespace std::string_view_literals;
    constexpr std::array paths{"path"sv,     "file"sv,      "filename"sv,  "filepath"sv,  "image"sv,    "imagepath"sv,
                               "imagefile"sv, "imagename"sv, "imageid"sv,   "filepaths"sv, "filenames"sv, "img"sv,
                               "imgpath"sv,  "imgname"sv};
    constexpr std::array labels{"label"sv, "labels"sv, "class"sv, "classname"sv, "target"sv, "category"sv};
    constexpr std::array splits{"split"sv, "dataset"sv, "set"sv, "subset"sv};
    std::vector<std::string> plain;
    for (const auto& name : names) {
        auto& text = plain.emplace_back();
        for (const char c : name)
            if (c != '_' && c != '-' && c != ' ') text += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    const auto find = [&](const auto& known) {  // the first of the known names counts
        for (const auto name : known)
            if (const auto at = std::find(plain.begin(), plain.end(), name); at != plain.end()) return static_cast<int>(at - plain.begin());
        return -1;
    };
    const Columns columns{.path = find(paths), .label = find(labels), .split = find(splits), .named = true};
    return columns.path < 0 ? std::nullopt : std::optional(columns);
}

/// Reads the rows of a CSV or TSV file.
inline std::vector<ListRow> table_rows(std::string_view text, bool tabs, const std::filesystem::path& list, bool& named) {
    const auto head = text.substr(0, text.find('\n'));
    const char separator = tabs || (head.find(',') == head.npos && head.find('\t') != head.npos) ? '\t'
                           : head.find(',') == head.npos && head.find(';') != head.npos           ? ';'
                                                                                                  : ',';
    Delimited records(text, separator, list.string());
    std::vector<ListRow> rows;
    Columns columns;
    bool first = true;
    while (auto fields = records.next()) {
        if (std::exchange(first, false)) {
            if (const auto found = columns_of(*fields)) {
                columns = *found;
                continue;
            }
            require(fields->size() <= 2, list.string(), ":", records.line(), ": ", fields->size(),
                    " columns without names, expected path or path and label; else a first line that names the columns, one of them path, "
                    "file, filename or image");
        }
        const auto cell = [&](int column) {
            const bool there = column >= 0 && static_cast<std::size_t>(column) < fields->size();
            return there ? std::move((*fields)[static_cast<std::size_t>(column)]) : std::string();
        };
        ListRow row{.line = records.line(), .path = cell(columns.path), .label = cell(columns.label)};
        if (columns.split >= 0) row.split = cell(columns.split);
        rows.push_back(std::move(row));
    }
    named = columns.named;
    return rows;
}

/// Reads the rows of a text: a path per line, and behind it, after white space, a whole number as its label.
inline std::vector<ListRow> text_rows(std::string_view text) {
    std::vector<ListRow> rows;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const auto end = std::min(text.find('\n'), text.size());
        const auto line = trimmed(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty()) continue;
        const auto space = line.find_last_of(" \t");
        const bool labeled = space != line.npos && whole_number(line.substr(space + 1));
        rows.push_back({.line = number,
                        .path = std::string(labeled ? trimmed(line.substr(0, space)) : line),
                        .label = labeled ? std::string(line.substr(space + 1)) : ""});
    }
    return rows;
}

}  // namespace detail

/// Reads a list of image files, whose paths are relative to its folder. By its extension it is
///
///   - .csv or .tsv: columns path and label, or named by the first line: path (file, filename, image, …), label (class,
///     target, …), split (train, val, test). Fields may be in quotes; a CSV without commas may have semicolons or tabs.
///   - .txt: a path per line, and behind it, after white space, a whole number as its label.
///
/// Labels are texts, or whole numbers if all are; an empty one, or -1 among numbers, means unlabeled. A file that is not
/// there is left out and named in `skipped`.
/// Throws Error, with the path and the line: no rows, a row without a path, another split than these, a quote that is not
/// closed, text that is not UTF-8; and if most of the files are not there, with the first of them.
///
///     data::Dataset photos = data::read_file_list("photos/train.csv").train;
inline FileList read_file_list(const std::filesystem::path& list, const Progress& progress = {}) {
    const auto bytes = image::detail::read_file(list, "data");
    std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    require(text.find('\0') == text.npos, "data: ", list.string(), " has zero bytes, expected text in UTF-8");
    const auto extension = image::extension_of(list);
    bool named = false;
    const auto rows = extension == ".txt" ? detail::text_rows(text) : detail::table_rows(text, extension == ".tsv", list, named);
    require(!rows.empty(), "data: ", list.string(), " names no files");

    using detail::Role;
    struct Files {
        std::vector<ListedFile> files{};
        std::vector<std::int64_t> numbers{};  // of their labels
    };
    std::map<Role, Files> parts;
    detail::LabelTexts labels;
    detail::Ticker ticker(progress);
    FileList result;
    const auto root = list.parent_path();
    std::size_t looked_at = 0;
    for (const auto& row : rows) {
        require(!row.path.empty(), list.string(), ":", row.line, ": no path, expected an image file");
        const auto split = row.split ? detail::split_name(*row.split) : detail::SplitName{};
        require(split && split->rest.empty(), list.string(), ":", row.line, ": split '", row.split.value_or(""), "', expected train, val or test");
        std::error_code missing;
        const bool is_file = std::filesystem::is_regular_file(root / row.path, missing);
        const auto size = is_file ? std::filesystem::file_size(root / row.path, missing) : 0;
        if (is_file && !missing) {
            auto& part = parts[split->role];
            part.files.push_back({.path = row.path, .bytes = size});
            part.numbers.push_back(labels.add(row.label));
        } else {
            result.skipped.push_back(doppel::detail::one_line(list.string() + ":" + std::to_string(row.line) + ": " + row.path + ": " +
                                                              (missing ? missing.message() : "no such file")));
        }
        ++looked_at;
        ticker.tick([&] { return list.string() + ": looked for " + std::to_string(looked_at) + " of " + std::to_string(rows.size()) + " files"; });
    }
    require(2 * result.skipped.size() <= rows.size(), "data: ", result.skipped.empty() ? "" : result.skipped.front(), "; ",
            result.skipped.size(), " of the list's ", rows.size(), " files are not there, expected paths relative to the list's folder",
            named || extension == ".txt" ? "" : "; a first line that names the columns must have one named path, file, filename or image");
    const auto classes = labels.classes();
    for (const auto& [role, images] : {std::pair(Role::train, &result.train), std::pair(Role::validation, &result.validation),
                                       std::pair(Role::test, &result.test)}) {
        auto& part = parts[role];
        if (part.files.empty()) continue;
        for (std::size_t i = 0; i < part.files.size(); ++i) part.files[i].label = classes.label(part.numbers[i]);
        *images = ListedImages(root, std::move(part.files), classes.names);
    }
    return result;
}

}  // namespace doppel::data
