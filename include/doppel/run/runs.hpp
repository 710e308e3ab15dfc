// SPDX-License-Identifier: Apache-2.0
// The run folders below a place, read back: what was run, how far it is, and its figures.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/io/atomic_file.hpp>
#include <doppel/io/json_lines.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace doppel::run {

enum class RunState {
    finished,  ///< evaluated, as far as its folder says
    running,   ///< a process works in its folder
    stopped,   ///< ended before its last step, by a signal or a crash; --resume goes on with it
    failed     ///< ended with an error, or its files cannot be read
};

inline const char* name_of(RunState state) {
    constexpr const char* names[] = {"finished", "running", "stopped", "failed"};
    return names[static_cast<int>(state)];
}

/// A run as its folder describes it.
struct RecordedRun {
    std::filesystem::path folder{};
    RunState state = RunState::stopped;
    std::string note{};                                               ///< why it failed, what else a reader must know; or empty
    nlohmann::ordered_json config = nlohmann::ordered_json::object();  ///< config.json
    std::vector<nlohmann::ordered_json> lines{};                       ///< metrics.jsonl

    /// Returns the text at a place in config.json, as "resolved/encoder"; "–" if there is none.
    std::string text(const std::string& place) const {
        const auto found = nlohmann::ordered_json::json_pointer("/" + place);
        if (!config.contains(found)) return "–";
        const auto& value = config.at(found);
        return value.is_string() ? value.get<std::string>() : value.dump();
    }

    /// Returns the last finite number under a name of metrics.jsonl.
    std::optional<double> latest(const std::string& name) const {
        for (auto line = lines.rbegin(); line != lines.rend(); ++line)
            if (const auto found = line->find(name); found != line->end() && found->is_number() && std::isfinite(found->get<double>()))
                return found->get<double>();
        return {};
    }

    /// Returns a name's numbers over the epochs, as (epoch, value).
    std::vector<std::pair<double, double>> curve(const std::string& name) const {
        std::vector<std::pair<double, double>> points;
        for (const auto& line : lines)
            if (const auto value = line.find(name), epoch = line.find("epoch"); value != line.end() && epoch != line.end() && value->is_number() && epoch->is_number())
                points.emplace_back(epoch->get<double>(), value->get<double>());
        return points;
    }

    /// Returns the points (0 to 1) of a figure above the untrained encoder's.
    std::optional<double> gain() const {
        const auto trained = latest("knn_top1"), untrained = latest("knn_top1_random");
        if (!trained || !untrained) return {};
        return *trained - *untrained;
    }
};

/// Whether a folder holds what a run writes: metrics.jsonl, or a config.json of doppel.
inline bool is_run_folder(const std::filesystem::path& folder) {
    std::error_code none;
    if (std::filesystem::is_regular_file(folder / "metrics.jsonl", none)) return true;
    std::ifstream config(folder / "config.json");
    const auto value = config ? nlohmann::ordered_json::parse(config, nullptr, false) : nlohmann::ordered_json();
    return value.is_object() && value.contains("doppel");
}

namespace detail {

/// Whether another process holds the folder's lock.
inline bool in_use(const std::filesystem::path& folder) {
    try {
        const io::FolderLock lock(folder);
        return false;
    } catch (const Error&) { return true; }
}

inline RunState state_of(const RecordedRun& run) {
    if (in_use(run.folder)) return RunState::running;
    double steps = 0, end = -1;
    for (const auto& line : run.lines) {
        steps = std::max(steps, line.value("step", 0.0));
        if (line.value("event", "") == "end") end = line.value("step", 0.0);
    }
    if (end >= steps && !run.lines.empty()) return RunState::finished;
    return !run.lines.empty() && run.lines.back().value("event", "") == "failure" ? RunState::failed : RunState::stopped;
}

inline std::string note_of(const RecordedRun& run) {
    std::string note;
    if (run.lines.empty()) return note;
    const auto& last = run.lines.back();
    const auto add = [&](const std::string& text) { note += (note.empty() ? "" : "; ") + text; };
    if (run.state == RunState::failed) add(last.value("reason", "no reason was recorded"));
    if (run.state != RunState::finished) return note;
    if (last.value("collapsed", false)) add("collapsed");
    if (const auto parts = last.find("failed"); parts != last.end() && parts->is_object())
        for (const auto& [what, why] : parts->items()) add(what + " failed: " + (why.is_string() ? why.get<std::string>() : why.dump()));
    return note;
}

}  // namespace detail

/// Reads a run from its folder. Throws Error if it is none, or if config.json or metrics.jsonl is damaged.
///
///     run::read_run("runs/mine").latest("knn_top1");
inline RecordedRun read_run(const std::filesystem::path& folder) {
    require(std::filesystem::is_directory(folder), folder.string(), ": no such folder; expected a run's folder");
    require(is_run_folder(folder), folder.string(), " is no run folder: it has neither metrics.jsonl nor a config.json of doppel");
    RecordedRun run{.folder = folder};
    if (std::ifstream file(folder / "config.json"); file) {
        run.config = nlohmann::ordered_json::parse(file, nullptr, false);
        require(run.config.is_object(), (folder / "config.json").string(), " is damaged: it is no JSON object");
    }
    if (std::filesystem::exists(folder / "metrics.jsonl")) run.lines = io::read_json_lines(folder / "metrics.jsonl");
    run.state = detail::state_of(run);
    run.note = detail::note_of(run);
    return run;
}

/// Returns the run folders in and below `place`, by name. Does not look into run folders, nor follow links to folders.
/// Throws Error if `place` is no folder.
inline std::vector<std::filesystem::path> run_folders(const std::filesystem::path& place) {
    require(std::filesystem::is_directory(place), place.string(), ": no such folder; expected one with run folders below it");
    if (is_run_folder(place)) return {place};
    std::vector<std::filesystem::path> found;
    std::error_code problem;  // a folder that vanishes ends the search
    using Walk = std::filesystem::recursive_directory_iterator;
    for (Walk at(place, std::filesystem::directory_options::skip_permission_denied, problem), end; !problem && at != end; at.increment(problem)) {
        std::error_code none;
        if (!at->is_directory(none) || at->is_symlink(none) || !is_run_folder(at->path())) continue;
        found.push_back(at->path());
        at.disable_recursion_pending();
    }
    std::sort(found.begin(), found.end());
    return found;
}

/// Reads all runs in and below `place`; one whose files are damaged is there as failed, with the reason.
inline std::vector<RecordedRun> recorded_runs(const std::filesystem::path& place) {
    std::vector<RecordedRun> runs;
    for (const auto& folder : run_folders(place)) {
        try {
            runs.push_back(read_run(folder));
        } catch (const std::exception& problem) {
            runs.push_back({.folder = folder, .state = RunState::failed, .note = problem.what()});
        }
    }
    return runs;
}

/// Whether lower values of a figure are better: losses.
inline bool lower_is_better(const std::string& figure) { return figure.find("loss") != std::string::npos; }

/// Sorts runs by a figure, the best first; those without it come last. Equal ones keep their order.
inline void sort_by(std::vector<RecordedRun>& runs, const std::string& figure) {
    const double sign = lower_is_better(figure) ? -1 : 1;
    const auto value = [&](const RecordedRun& run) {
        const auto latest = run.latest(figure);
        return latest ? sign * *latest : -INFINITY;
    };
    std::stable_sort(runs.begin(), runs.end(), [&](const auto& a, const auto& b) { return value(a) > value(b); });
}

/// Returns the accuracies that any of the runs has, as metrics.jsonl names them: those that end in _top1, without the baselines'.
inline std::vector<std::string> accuracies_of(const std::vector<RecordedRun>& runs) {
    std::vector<std::string> names;
    for (const auto& run : runs)
        for (const auto& line : run.lines)
            for (const auto& [name, value] : line.items())
                if (name.ends_with("_top1") && value.is_number() && std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    return names;
}

}  // namespace doppel::run
