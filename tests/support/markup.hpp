// SPDX-License-Identifier: Apache-2.0
// Looks at HTML and SVG.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace doppel::test {

/// How often `part` stands in `text`.
inline std::size_t count(std::string_view text, std::string_view part) {
    std::size_t found = 0;
    for (std::size_t at = 0; (at = text.find(part, at)) != std::string_view::npos; at += part.size()) ++found;
    return found;
}

/// True when every element that is opened is closed, in order, and attributes are quoted.
inline bool well_formed(std::string_view text) {
    std::vector<std::string> open;
    for (std::size_t at = 0; (at = text.find('<', at)) != std::string_view::npos;) {
        const auto end = text.find('>', at);
        if (end == std::string_view::npos) return false;
        const auto tag = text.substr(at + 1, end - at - 1);
        const std::string name(tag.substr(0, tag.find_first_of(" />", 1)));
        if (tag[0] == '/') {
            if (open.empty() || '/' + open.back() != tag) return false;
            open.pop_back();
        } else if (tag.back() != '/' && tag[0] != '!' && name != "meta" && name != "img" && name != "br") {
            open.push_back(name);
        }
        if (count(tag, "\"") % 2 != 0) return false;
        at = end;
    }
    return open.empty();
}

}  // namespace doppel::test
