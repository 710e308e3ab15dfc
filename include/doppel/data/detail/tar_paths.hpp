// SPDX-License-Identifier: Apache-2.0
// Finds tar files: in a folder, and by a pattern.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/detail/folder.hpp>
#include <doppel/data/detail/label_texts.hpp>
#include <doppel/data/detail/tar.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace doppel::data::detail {

/// Returns whether a file has a .tar name and begins as a tar archive; false if it cannot be read.
inline bool is_tar(const std::filesystem::path& file) {
    std::error_code ignored;
    if (file.extension() != ".tar" || !std::filesystem::is_regular_file(file, ignored)) return false;
    try {
        TarHeader header;
        return RandomFile(file).read(0, header) == header.size() && is_tar_header(header);
    } catch (const Error&) { return false; }
}

/// Returns the .tar files of a folder, sorted; nothing if none of them begins as a tar archive.
inline std::vector<std::filesystem::path> tars_in(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> files;
    for (const auto& [path, is_folder, is_link] : list(folder, "data"))
        if (!is_folder && path.extension() == ".tar") files.push_back(path);
    return std::any_of(files.begin(), files.end(), is_tar) ? files : std::vector<std::filesystem::path>{};
}

/// Returns the files of a pattern as shards-{000000..000009}.tar; nothing if the path has no such braces. Throws Error for
/// a range that does not ascend, and for more than a million files.
inline std::vector<std::filesystem::path> expand_braces(const std::filesystem::path& pattern) {
    const auto text = pattern.string();
    const auto open = text.find('{'), dots = text.find("..", open), close = text.find('}', dots);
    if (open == text.npos || dots == text.npos || close == text.npos) return {};
    const auto from = text.substr(open + 1, dots - open - 1), to = text.substr(dots + 2, close - dots - 2);
    const auto first = whole_number(from), last = whole_number(to);
    if (!first || !last || *first < 0) return {};
    require(*first <= *last && *last - *first < 1'000'000, "data: ", text, ": from ", from, " to ", to,
            ", expected an ascending range of at most a million files");
    const auto width = from.starts_with('0') ? from.size() : 0;
    std::vector<std::filesystem::path> files;
    for (auto number = *first; number <= *last; ++number) {
        auto digits = std::to_string(number);
        digits.insert(0, std::max(width, digits.size()) - digits.size(), '0');
        const std::filesystem::path file = text.substr(0, open) + digits + text.substr(close + 1);
        const auto more = expand_braces(file);
        files.insert(files.end(), more.begin(), more.end());
        if (more.empty()) files.push_back(file);
        require(files.size() <= 1'000'000, "data: ", text, ": more than a million files");
    }
    return files;
}

}  // namespace doppel::data::detail
