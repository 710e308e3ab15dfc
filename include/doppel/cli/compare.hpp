// SPDX-License-Identifier: Apache-2.0
// The command line of the program that puts runs side by side.
#pragma once

#include <doppel/cli/arguments.hpp>
#include <doppel/cli/exit_status.hpp>
#include <doppel/cli/text_table.hpp>
#include <doppel/core/error.hpp>
#include <doppel/eval/comparison.hpp>
#include <doppel/options/rows.hpp>
#include <doppel/run/comparison.hpp>
#include <doppel/run/messages.hpp>
#include <doppel/run/runs.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <string>
#include <tuple>
#include <vector>

namespace doppel::cli {

namespace detail {

struct CompareOptions {
    std::string out = "comparison.html";

    static constexpr auto fields() {
        return std::tuple(options::field(&CompareOptions::out, "out", "the page that is written"));
    }
};
static_assert(options::described<CompareOptions>);

/// Returns the comparison for a terminal: a column per run.
inline std::string text_of(const eval::Comparison& comparison) {
    std::vector<std::vector<std::string>> rows{{""}};
    for (const auto& run : comparison.runs) rows[0].push_back(run.name);
    for (const auto& figure : comparison.figures) {
        std::vector<std::string> row{figure.name};
        for (const double value : figure.values)
            row.push_back(!std::isfinite(value) ? "–" : figure.percent ? fmt::format("{:.{}f} %", 100 * value, figure.digits) : fmt::format("{:.{}f}", value, figure.digits));
        rows.push_back(std::move(row));
    }
    if (!comparison.facts.empty()) rows.push_back({"what differs:"});
    constexpr std::size_t most = 40;
    for (const auto& fact : comparison.facts) {
        std::vector<std::string> row{fact.name};
        for (const auto& value : fact.values) row.push_back(value.size() > most ? value.substr(0, value.find_last_of(' ', most) == value.npos ? most : value.find_last_of(' ', most)) + " …" : value);
        rows.push_back(std::move(row));
    }
    return text_table(rows);
}

inline int compare_runs(std::vector<std::string> words, const std::string& program) {
    CompareOptions o;
    const auto rows = options::rows_of(o);
    std::vector<run::RecordedRun> runs;
    for (; !words.empty() && !words.front().starts_with("-"); words.erase(words.begin())) runs.push_back(run::read_run(words.front()));
    const auto arguments = parse(words, program + " RUN RUN...", "Puts runs side by side: figures, options that differ, and curves, printed and as a page.",
                                 {{"Options", rows}}, "Example: " + program + " runs/a runs/b --out ab.html");
    if (!arguments.answer.empty()) return std::fputs(arguments.answer.c_str(), stdout) < 0 ? 1 : 0;
    set_given(arguments, rows);
    const auto comparison = run::comparison_of(runs);
    eval::write_comparison(o.out, comparison);
    if (std::fputs((text_of(comparison) + comparison.summary + "\n").c_str(), stdout) < 0) return 1;
    run::say("{}", o.out);
    return 0;
}

}  // namespace detail

/// Compares runs as the arguments say: `compare RUN RUN... [options]`. Returns the exit status.
///
///     int main(int argc, char** argv) { return cli::compare(argc, argv); }
inline int compare(int argc, char** argv) {
    const std::string program = argc > 0 ? std::filesystem::path(argv[0]).filename().string() : "compare";
    return exit_status_of(program, [&] { return detail::compare_runs({argv + std::min(argc, 1), argv + argc}, program); });
}

}  // namespace doppel::cli
