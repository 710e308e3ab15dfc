// SPDX-License-Identifier: Apache-2.0
// Reads the names of classes, one per line.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/image/detail/file.hpp>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace doppel::data::detail {

/// Returns the lines of a file of class names; nothing if there is no such file.
inline std::vector<std::string> names_of_classes(const std::filesystem::path& path, std::size_t expected, std::string_view who) {
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) return {};
    std::vector<std::string> names(1);
    for (const auto byte : image::detail::read_file(path, who)) {
        if (byte == '\n')
            names.emplace_back();
        else if (byte != '\r')
            names.back() += static_cast<char>(byte);
    }
    std::erase(names, "");
    require(names.size() == expected, who, ": ", path.string(), ": ", names.size(), " class names, expected ", expected);
    return names;
}

}  // namespace doppel::data::detail
