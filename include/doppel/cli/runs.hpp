// SPDX-License-Identifier: Apache-2.0
// The command line of the program that lists runs.
#pragma once

#include <doppel/cli/arguments.hpp>
#include <doppel/cli/exit_status.hpp>
#include <doppel/cli/text_table.hpp>
#include <doppel/core/error.hpp>
#include <doppel/options/rows.hpp>
#include <doppel/run/runs.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <string>
#include <tuple>
#include <vector>

namespace doppel::cli {

namespace detail {

struct RunsOptions {
    std::string by = "knn_top1";
    bool json = false;

    static constexpr auto fields() {
        using O = RunsOptions;
        using options::field;
        return std::tuple(field(&O::by, "by", "the figure that sorts the runs, as metrics.jsonl names it; of a loss the lowest comes first"),
                          field(&O::json, "json", "print one JSON object per run instead of a table"));
    }
};
static_assert(options::described<RunsOptions>);

/// A figure for people: accuracies in percent, others with four digits.
inline std::string figure_text(const std::string& name, const std::optional<double>& value) {
    if (!value) return "–";
    return name.ends_with("_top1") ? fmt::format("{:.1f} %", 100 * *value) : fmt::format("{:.4g}", *value);
}

inline std::string epochs_text(const run::RecordedRun& run) {
    const auto epoch = run.latest("epoch");
    const auto of = run.text("training/epochs");
    return epoch ? fmt::format("{:.4g}{}", *epoch, of == "–" ? "" : "/" + of) : of == "–" ? of : "0/" + of;
}

/// The columns of figures: the one that sorts, then the other accuracies.
inline std::vector<std::string> figures_shown(const std::vector<run::RecordedRun>& runs, const std::string& by) {
    std::vector<std::string> names{by};
    for (const auto& name : run::accuracies_of(runs))
        if (name != by) names.push_back(name);
    return names;
}

inline std::string table_of(const std::vector<run::RecordedRun>& runs, const std::filesystem::path& place, const std::string& by) {
    const auto figures = figures_shown(runs, by);
    std::vector<std::vector<std::string>> rows{{"run", "state", "method", "encoder", "data", "seed", "epoch"}};
    rows[0].insert(rows[0].end(), figures.begin(), figures.end());
    rows[0].insert(rows[0].end(), {"gain", "note"});
    for (const auto& run : runs) {
        const auto path = run.folder == place ? place : run.folder.lexically_relative(place);
        std::vector<std::string> row{path.string(), name_of(run.state), run.text("method"), run.text("resolved/encoder"),
                                     run.text("resolved/data"), run.text("run/seed"), epochs_text(run)};
        for (const auto& name : figures) row.push_back(figure_text(name, run.latest(name)));
        const auto gain = run.gain();
        row.push_back(gain ? fmt::format("{:+.1f}", 100 * *gain) : "–");
        row.push_back(run.note);
        rows.push_back(std::move(row));
    }
    return text_table(rows);
}

inline nlohmann::ordered_json object_of(const run::RecordedRun& run, const std::vector<std::string>& figures) {
    nlohmann::ordered_json object{{"folder", run.folder.string()}, {"state", name_of(run.state)}};
    for (const auto& [name, place] : {std::pair{"method", "method"}, {"encoder", "resolved/encoder"}, {"data", "resolved/data"}})
        if (const auto text = run.text(place); text != "–") object[name] = text;
    for (const auto* name : {"step", "epoch"})
        if (const auto value = run.latest(name)) object[name] = *value;
    for (const auto& name : figures)
        if (const auto value = run.latest(name)) object[name] = *value;
    if (const auto gain = run.gain()) object["gain"] = *gain;
    if (!run.note.empty()) object["note"] = run.note;
    return object;
}

inline int list_runs(std::vector<std::string> words, const std::string& program) {
    RunsOptions o;
    const auto rows = options::rows_of(o);
    std::filesystem::path place = "runs";
    if (!words.empty() && !words.front().starts_with("-")) {
        place = words.front();
        words.erase(words.begin());
    }
    const auto arguments = parse(words, program + " [FOLDER]", "Lists the run folders in and below FOLDER (runs) with their figures, the best first.",
                                 {{"Options", rows}}, "Example: " + program + " runs --by feature_std");
    if (!arguments.answer.empty()) return std::fputs(arguments.answer.c_str(), stdout) < 0 ? 1 : 0;
    set_given(arguments, rows);
    auto runs = run::recorded_runs(place);
    require(!runs.empty(), place.string(), ": there is no run folder in or below it; a run folder has config.json and metrics.jsonl");
    const bool asked = arguments.given.contains("by");
    require(!asked || std::any_of(runs.begin(), runs.end(), [&](const auto& run) { return run.latest(o.by).has_value(); }), "--by ", o.by,
            ": none of the ", runs.size(), " runs has that figure; metrics.jsonl names them");
    run::sort_by(runs, o.by);
    std::string text;
    if (o.json) {
        using Handler = nlohmann::ordered_json::error_handler_t;
        for (const auto& run : runs) text += object_of(run, figures_shown(runs, o.by)).dump(-1, ' ', false, Handler::replace) + '\n';
    } else {
        text = table_of(runs, place, o.by);
    }
    return std::fputs(text.c_str(), stdout) < 0 ? 1 : 0;
}

}  // namespace detail

/// Lists runs as the arguments say: `runs [FOLDER] [options]`. Returns the exit status.
///
///     int main(int argc, char** argv) { return cli::runs(argc, argv); }
inline int runs(int argc, char** argv) {
    const std::string program = argc > 0 ? std::filesystem::path(argv[0]).filename().string() : "runs";
    return exit_status_of(program, [&] { return detail::list_runs({argv + std::min(argc, 1), argv + argc}, program); });
}

}  // namespace doppel::cli
