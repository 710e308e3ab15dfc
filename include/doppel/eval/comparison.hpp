// SPDX-License-Identifier: Apache-2.0
// A self-contained HTML page that puts several runs side by side.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/eval/chart.hpp>
#include <doppel/eval/detail/document.hpp>
#include <doppel/eval/detail/html.hpp>
#include <doppel/eval/detail/measure.hpp>
#include <doppel/eval/report.hpp>
#include <doppel/eval/table.hpp>
#include <doppel/io/atomic_file.hpp>

#include <cmath>
#include <cstddef>
#include <filesystem>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace doppel::eval {

/// Several runs side by side; empty sections are omitted.
struct Comparison {
    struct Run {
        std::string name{};     ///< how tables and curves call it
        std::string command{};  ///< what repeats it in a shell; may be empty
    };
    /// What differs between the runs, or an option that does.
    struct Fact {
        std::string name{};
        std::vector<std::string> values{};  ///< of each run, in their order
    };
    enum class Better { higher, lower, neither };
    /// A figure of each run.
    struct Figure {
        std::string name{};
        std::vector<double> values{};  ///< of each run, in their order; NaN: not measured
        Better better = Better::higher;
        int digits = 3;        ///< decimals
        bool percent = false;  ///< values from 0 to 1, shown as per cent
        std::string explanation{};
    };
    std::string title{}, summary{};
    std::vector<Run> runs{};
    std::vector<Measure> measures{};  ///< a bar for each run, say, in the order to be shown
    std::vector<Figure> figures{};    ///< a table, a row for each run; the best of each figure is marked
    std::vector<Fact> facts{};        ///< a table, a row for each fact
    std::vector<Curve> curves{};      ///< a series for each run
    std::vector<Table> tables{};      ///< similarity of the encoders, …
};

namespace detail {

/// The rows of a figure's best values, as they are shown: equal ones are all best. None where there is nothing to compare.
inline std::vector<std::size_t> best_of(const Comparison::Figure& figure, const std::vector<std::string>& shown) {
    std::vector<std::size_t> best;
    if (figure.better == Comparison::Better::neither) return best;
    const double sign = figure.better == Comparison::Better::higher ? 1 : -1;
    std::size_t top = figure.values.size(), measured = 0;
    for (std::size_t r = 0; r < figure.values.size(); ++r) {
        if (!std::isfinite(figure.values[r])) continue;
        ++measured;
        if (top == figure.values.size() || sign * figure.values[r] > sign * figure.values[top]) top = r;
    }
    if (measured < 2) return best;
    for (std::size_t r = 0; r < figure.values.size(); ++r)
        if (std::isfinite(figure.values[r]) && shown[r] == shown[top]) best.push_back(r);
    return best.size() == measured ? std::vector<std::size_t>{} : best;
}

inline Table figures_table(const Comparison& comparison) {
    Table table{.title = "Figures", .columns = {"run"}};
    for (const auto& run : comparison.runs) table.rows.push_back({run.name});
    for (const auto& figure : comparison.figures) {
        require(figure.values.size() == comparison.runs.size(), "write_comparison: figure \"", figure.name, "\" has ",
                figure.values.size(), " values, expected ", comparison.runs.size(), ", one for each run");
        table.columns.push_back(figure.name);
        std::vector<std::string> shown;
        for (const double value : figure.values)
            shown.push_back(!std::isfinite(value) ? "\u2013"
                            : figure.percent      ? fixed(100 * value, figure.digits) + "\u00a0%"
                                                  : fixed(value, figure.digits));
        for (const auto row : best_of(figure, shown)) table.best.emplace_back(row, table.columns.size() - 1);
        for (std::size_t r = 0; r < shown.size(); ++r) table.rows[r].push_back(shown[r]);
    }
    return table;
}

inline Table facts_table(const Comparison& comparison) {
    Table table{.title = "What differs", .columns = {"option"}};
    for (const auto& run : comparison.runs) table.columns.push_back(run.name);
    for (const auto& fact : comparison.facts) {
        require(fact.values.size() == comparison.runs.size(), "write_comparison: fact \"", fact.name, "\" has ",
                fact.values.size(), " values, expected ", comparison.runs.size(), ", one for each run");
        table.rows.push_back({fact.name});
        table.rows.back().insert(table.rows.back().end(), fact.values.begin(), fact.values.end());
    }
    return table;
}

inline std::vector<Section> sections_of(const Comparison& comparison) {
    std::vector<Section> sections;
    if (!comparison.measures.empty())
        sections.push_back({"Results", heading("What was learned", "") + measures_html(comparison.measures)});
    if (!comparison.figures.empty()) {
        auto html = heading("Figures", "\u2605 marks the best; a click on a column's name sorts by it.") +
                    table_tag(figures_table(comparison));
        std::vector<std::pair<std::string, std::string>> meanings;
        for (const auto& figure : comparison.figures)
            if (!figure.explanation.empty()) meanings.emplace_back(figure.name, figure.explanation);
        if (!meanings.empty()) html += folded("What the figures mean", facts_html(meanings, "wide"));
        sections.push_back({"Figures", std::move(html)});
    }
    if (!comparison.facts.empty())
        sections.push_back({"Differences", heading("What differs", "Options that are equal in all runs are left out.") +
                                               table_tag(facts_table(comparison))});
    if (!comparison.curves.empty())
        sections.push_back({"Curves", heading("How they went", "") + charts_html(comparison.curves)});
    for (const auto& table : comparison.tables)
        sections.push_back({table.title, heading(table.title, table.note) + table_tag(table)});
    std::string commands;
    for (const auto& run : comparison.runs)
        if (!run.command.empty()) commands += "<h3>" + escaped(run.name) + "</h3>" + command_html(run.command);
    if (!commands.empty()) sections.push_back({"Commands", heading("To repeat them", "") + commands});
    return sections;
}

}  // namespace detail

/// Writes `comparison` as one HTML file, atomically; it loads nothing when it is opened, as that of write_report().
///
/// Throws Error with the path and the reason, and for a fact, figure or row with another number of values than there are
/// runs or columns.
///
///     eval::write_comparison("comparison.html", {.title = "Three seeds",
///                                                .runs = {{"seed 1"}, {"seed 2"}},
///                                                .figures = {{.name = "k-NN", .values = {0.71, 0.69}, .digits = 1, .percent = true}}});
inline void write_comparison(const std::filesystem::path& path, const Comparison& comparison) {
    const auto sections = detail::sections_of(comparison);
    const auto lead =
        comparison.summary.empty() ? "" : "<p class=\"lead\">" + detail::escaped(comparison.summary) + "</p>\n";
    io::write_atomically(path, [&](std::ostream& out) { detail::write_page(out, comparison.title, lead, sections); });
}

}  // namespace doppel::eval
