// SPDX-License-Identifier: Apache-2.0
// Tables for a terminal.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

namespace doppel::cli {

/// Returns rows as lines with aligned columns, two spaces between them; a row may be shorter than the others. The first row is the
/// heading. Columns that are empty below their heading are left out.
///
///     std::fputs(cli::text_table({{"run", "k-NN"}, {"a", "66.9 %"}}).c_str(), stdout);
inline std::string text_table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths;
    std::vector<bool> used;
    for (std::size_t r = 0; r < rows.size(); ++r)
        for (std::size_t c = 0; c < rows[r].size(); ++c) {
            if (widths.size() <= c) widths.resize(c + 1), used.resize(c + 1);
            std::size_t width = 0;  // code points, which these texts show one column wide
            for (const char byte : rows[r][c]) width += (byte & 0xC0) != 0x80;
            widths[c] = std::max(widths[c], width);
            if (r > 0 && !rows[r][c].empty()) used[c] = true;
        }
    std::string text;
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t c = 0; c < row.size(); ++c)
            if (used[c]) line += fmt::format("{:<{}}  ", row[c], widths[c]);
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + '\n';
    }
    return text;
}

}  // namespace doppel::cli
