// SPDX-License-Identifier: Apache-2.0
// Command-line arguments for described options: --name VALUE, switches as --name and --no-name.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/version.hpp>
#include <doppel/options/rows.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace doppel::cli {

/// Options under one heading of --help.
struct Section {
    std::string title{};
    std::vector<options::Row> rows{};
    std::set<std::string> lists{};  ///< names of those whose values, given several times, are joined with commas
};

/// What a command line gave: texts by option name, and whether --help or --version was asked for.
struct Arguments {
    std::map<std::string, std::string> given{};
    std::string answer{};  ///< the text of --help or --version; empty: none was asked for
};

namespace detail {

inline const options::Row& row_named(const std::vector<options::Row>& rows, const std::string& name) {
    const auto found = std::find_if(rows.begin(), rows.end(), [&](const auto& row) { return row.name == name; });
    require(found != rows.end(), "there is no option ", name, " (a method's options have size and channels, as options::Crops has)");
    return *found;
}

}  // namespace detail

/// Sets the options that were given. Throws Error, "--epochs must be a whole number …, got 'x'".
inline void set_given(const Arguments& arguments, const std::vector<options::Row>& rows) {
    for (const options::Row& row : rows)
        if (const auto found = arguments.given.find(row.name); found != arguments.given.end())
            require(row.set(found->second), "--", row.name, " must be ", row.expected(), ", got '", found->second, "'");
}

/// Reads a command line without setting anything; the rows give names, meanings and defaults for --help. The last value of
/// an option given twice counts, but for Section::lists. Throws Error for an unknown option, with the nearest known one, and a missing value.
inline Arguments parse(const std::vector<std::string>& words, const std::string& program, const std::string& text,
                       const std::vector<Section>& sections, const std::string& footer = "") {
    Arguments result;
    CLI::App app(text, program);
    app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    app.set_help_flag("-h,--help", "show this and stop")->group("Other");
    app.set_version_flag("--version", std::string("doppel ") + version)->group("Other");
    app.get_formatter()->column_width(36);
    app.allow_extras();
    app.footer(footer);
    std::vector<std::string> names;
    std::map<std::string, std::string> switches;
    for (const Section& section : sections)
        for (const options::Row& row : section.rows) {
            names.push_back("--" + row.name);
            const std::string unit = row.unit.empty() ? "" : " (" + row.unit + ")";
            if (row.is_switch()) {
                names.push_back("--no-" + row.name);
                app.add_flag("--" + row.name + ",!--no-" + row.name, switches[row.name], row.meaning + " [" + row.text() + "]")
                    ->group(section.title);
                continue;
            }
            auto* option = app.add_option_function<std::string>(
                "--" + row.name, [&result, name = row.name](const std::string& value) { result.given[name] = value; },
                row.meaning + unit);
            std::string kind = "TEXT";
            if (!row.choices.empty()) {
                kind.clear();
                for (const auto& choice : row.choices) kind += (kind.empty() ? "" : "|") + choice;
            } else if (std::holds_alternative<double*>(row.value)) {
                kind = "X";
            } else if (!std::holds_alternative<std::string*>(row.value)) {
                kind = "N";
            }
            if (section.lists.contains(row.name)) option->join(',');
            option->type_name(kind)->default_str(row.text())->group(section.title);
        }
    try {
        app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
    } catch (const CLI::CallForHelp&) {
        result.answer = app.help();
        for (std::size_t at; (at = result.answer.find("{false}")) != std::string::npos;) result.answer.erase(at, 7);
    } catch (const CLI::CallForVersion& asked) {
        result.answer = std::string(asked.what()) + "\n";
    } catch (const CLI::ParseError& problem) {
        std::string line = problem.what();
        fail(line.substr(0, line.find('\n')), " (--help lists the options)");
    }
    if (!result.answer.empty()) return result;
    for (const auto& [name, value] : switches)
        if (!value.empty()) result.given[name] = value;
    for (const auto& [name, value] : result.given)
        require(std::find(names.begin(), names.end(), value) == names.end(), "--", name, " needs a value, got the option ", value,
                " (--help lists the options)");
    for (const std::string& word : app.remaining()) {
        const auto near = options::nearest_name(word.substr(0, word.find('=')), names);
        fail(word.starts_with("-") ? "unknown option " : "unexpected argument ", word,
             near.empty() ? "" : "; did you mean " + near + "?", " (--help lists the options)");
    }
    return result;
}

}  // namespace doppel::cli
