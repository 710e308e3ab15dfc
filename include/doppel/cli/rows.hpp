// SPDX-License-Identifier: Apache-2.0
// Described options on a command line.
#pragma once

#include <doppel/options/rows.hpp>

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace doppel::cli {

/// Adds --NAME for each row; a switch also as --no-NAME. What is given is checked and set in the object that the rows are
/// bound to, which must outlive the parsing.
inline void add_rows(CLI::App& app, const std::vector<options::Row>& rows, const std::string& group) {
    for (const options::Row& row : rows) {
        const std::string meaning = row.meaning + (row.unit.empty() ? "" : " [" + row.unit + "]");
        if (row.is_switch()) {
            app.add_flag_function("--" + row.name + ",!--no-" + row.name,
                                  [row](std::int64_t count) { row.set(count > 0 ? "true" : "false"); },
                                  meaning + (row.text() == "true" ? " (default; --no-" + row.name + " turns it off)" : ""))
                ->group(group);
            continue;
        }
        std::string type = "X";
        if (!row.choices.empty()) {
            type.clear();
            for (const auto& choice : row.choices) type += (type.empty() ? "" : "|") + choice;
        } else if (std::holds_alternative<std::string*>(row.value)) {
            type = "TEXT";
        }
        app.add_option_function<std::string>("--" + row.name, [row](const std::string& text) { row.set(text); }, meaning)
            ->check(CLI::Validator(
                [row](std::string& text) {
                    return row.set(text) ? std::string() : "must be " + row.expected() + ", got '" + text + "'";
                },
                ""))
            ->type_name(type)
            ->default_str(row.text())
            ->group(group);
    }
}

}  // namespace doppel::cli
