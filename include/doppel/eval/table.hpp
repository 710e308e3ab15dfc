// SPDX-License-Identifier: Apache-2.0
// Tables of a page.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/eval/detail/html.hpp>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace doppel::eval {

/// A table of text. Columns whose cells begin with a digit or a sign are aligned as numbers; a reader can sort by each
/// column.
///
///     eval::Table{.title = "Images", .columns = {"class", "images"}, .rows = {{"cat", "120"}, {"dog", "80"}}};
struct Table {
    std::string title{}, note{};
    std::vector<std::string> columns{};
    std::vector<std::vector<std::string>> rows{};  ///< one cell for each column
    std::vector<std::pair<std::size_t, std::size_t>>
        best{};           ///< (row, column) of the cells that are marked as the best
    bool folded = false;  ///< shown after a click on the title
};

namespace detail {

/// Whether a cell is aligned as a number: "71.2 %", "-3", "−3", "–".
inline bool is_number(const std::string& cell) {
    std::size_t at = 0;
    for (const char* sign : {"-", "+", "\u2212", "\u00b1"})
        if (cell.starts_with(sign)) at = std::string(sign).size();
    if (cell.empty() || cell == "\u2013") return true;
    return at < cell.size() && (std::isdigit(static_cast<unsigned char>(cell[at])) != 0 || cell[at] == '.');
}

/// Returns the <table>; throws Error for a row with another number of cells than there are columns.
inline std::string table_tag(const Table& table) {
    std::vector<const char*> kinds(table.columns.size(), " class=\"number\"");
    for (const auto& row : table.rows) {
        require(row.size() == table.columns.size(), "write_report: a row of table \"", table.title, "\" has ",
                row.size(), " cells, expected ", table.columns.size(), ", one for each column");
        for (std::size_t c = 0; c < row.size(); ++c)
            if (!is_number(row[c])) kinds[c] = "";
    }
    std::string html = "<div class=\"scroll\"><table class=\"sortable\"><thead><tr>";
    for (std::size_t c = 0; c < table.columns.size(); ++c)
        html += "<th scope=\"col\"" + std::string(kinds[c]) + ">" + escaped(table.columns[c]) + "</th>";
    html += "</tr></thead><tbody>\n";
    for (std::size_t r = 0; r < table.rows.size(); ++r) {
        html += "<tr>";
        for (std::size_t c = 0; c < table.columns.size(); ++c) {
            const bool best = std::find(table.best.begin(), table.best.end(), std::pair(r, c)) != table.best.end();
            html += "<td" + std::string(kinds[c]) + ">" +
                    (best ? "<strong class=\"best\">" + escaped(table.rows[r][c]) +
                                " <span title=\"best\">\u2605</span></strong>"
                          : escaped(table.rows[r][c])) +
                    "</td>";
        }
        html += "</tr>\n";
    }
    return html + "</tbody></table></div>";
}

/// Returns `html` behind a title that a click opens.
inline std::string folded(const std::string& title, const std::string& html) {
    return "<details><summary>" + escaped(title) + "</summary>" + html + "</details>\n";
}

}  // namespace detail

}  // namespace doppel::eval
