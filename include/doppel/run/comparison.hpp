// SPDX-License-Identifier: Apache-2.0
// Several runs side by side: figures, settings that differ, curves, and what makes them incomparable.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/eval/accuracy.hpp>
#include <doppel/eval/chart.hpp>
#include <doppel/eval/comparison.hpp>
#include <doppel/run/runs.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace doppel::run {

namespace detail {

/// Every value of config.json that describes the run, under the name of its option ("--lr"), else its place ("training lr").
inline std::vector<std::pair<std::string, std::string>> settings_of(const nlohmann::ordered_json& config) {
    static const std::set<std::string> left_out{"started", "host", "command", "run/out", "run/resume", "run/progress", "data/size", "resolved/size",
                                                "training/epochs", "training/batch_size", "training/steps"};  // said elsewhere, or of no effect
    std::vector<std::pair<std::string, std::string>> settings;
    const auto visit = [&](const auto& self, const nlohmann::ordered_json& value, const std::string& place) -> void {
        if (left_out.contains(place)) return;
        if (value.is_object()) {
            for (const auto& [name, inner] : value.items()) self(self, inner, place.empty() ? name : place + "/" + name);
            return;
        }
        std::string name = place;
        for (const char* section : {"data/", "encoder/", "options/", "run/"})
            if (place.starts_with(section)) name = "--" + place.substr(std::string(section).size());
        std::replace(name.begin(), name.end(), '_', name.starts_with("--") ? '-' : ' ');
        std::replace(name.begin(), name.end(), '/', ' ');
        if (place == "views" && value.is_array()) {
            for (std::size_t i = 0; i < value.size(); ++i) self(self, value[i], "view " + std::to_string(i + 1));
            return;
        }
        settings.emplace_back(name, value.is_string() ? value.template get<std::string>() : value.dump());
    };
    visit(visit, config, "");
    return settings;
}

/// The shortest ends of the runs' paths that tell them apart.
inline std::vector<std::string> short_names(const std::vector<RecordedRun>& runs) {
    std::vector<std::filesystem::path> paths;
    for (const auto& run : runs) {
        auto path = std::filesystem::absolute(run.folder).lexically_normal();
        if (path.filename().empty()) path = path.parent_path();
        require(std::find(paths.begin(), paths.end(), path) == paths.end(), run.folder.string(), " was given twice");
        paths.push_back(std::move(path));
    }
    for (std::ptrdiff_t parts = 1;; ++parts) {
        std::vector<std::string> names;
        for (const auto& path : paths) {
            std::filesystem::path name;
            const auto length = std::distance(path.begin(), path.end());
            for (auto part = std::next(path.begin(), std::max<std::ptrdiff_t>(0, length - parts)); part != path.end(); ++part) name /= *part;
            names.push_back(name.string());
        }
        if (std::set<std::string>(names.begin(), names.end()).size() == names.size()) return names;
    }
}

/// A word of a command as a shell reads it.
inline std::string quoted(const std::string& word) {
    if (!word.empty() && word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=./,:+@%") == word.npos) return word;
    std::string text = "'";
    for (const char c : word) text += c == '\'' ? "'\\''" : std::string(1, c);
    return text + "'";
}

inline std::optional<eval::Interval> interval_of(const RecordedRun& run, double share) {
    const auto images = run.text("resolved/validation_images");
    const auto count = images == "–" ? 0 : std::strtoll(images.c_str(), nullptr, 10);
    if (count <= 0 || share < 0 || share > 1) return {};
    return eval::wilson(std::llround(share * static_cast<double>(count)), count);
}

}  // namespace detail

/// Returns the settings that differ, one value per run: the method, the options, what follows from them; "–" where a run has no
/// such setting.
inline std::vector<eval::Comparison::Fact> differences_of(const std::vector<RecordedRun>& runs) {
    std::vector<std::string> order;
    std::vector<std::map<std::string, std::string>> values(runs.size());
    for (std::size_t r = 0; r < runs.size(); ++r)
        for (auto& [name, text] : detail::settings_of(runs[r].config))
            if (values[r].emplace(name, std::move(text)).second && std::find(order.begin(), order.end(), name) == order.end()) order.push_back(name);
    std::vector<eval::Comparison::Fact> facts;
    for (const auto& name : order) {
        eval::Comparison::Fact fact{.name = name};
        for (const auto& run : values) fact.values.push_back(run.contains(name) ? run.at(name) : "–");
        if (std::adjacent_find(fact.values.begin(), fact.values.end(), std::not_equal_to<>()) != fact.values.end()) facts.push_back(std::move(fact));
    }
    const auto rank = [](const auto& fact) { return fact.name == "method" ? 0 : fact.name.starts_with("--") ? 1 : 2; };
    std::stable_sort(facts.begin(), facts.end(), [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
    return facts;
}

/// Returns the figures that at least one run has, the last of each: accuracies, gain, collapse measures, time.
inline std::vector<eval::Comparison::Figure> figures_of(const std::vector<RecordedRun>& runs) {
    using Figure = eval::Comparison::Figure;
    using Better = eval::Comparison::Better;
    std::vector<Figure> figures;
    const auto add = [&](Figure figure, const auto& value_of) {
        for (const auto& run : runs) figure.values.push_back(value_of(run).value_or(NAN));
        if (std::any_of(figure.values.begin(), figure.values.end(), [](double v) { return std::isfinite(v); })) figures.push_back(std::move(figure));
    };
    const auto under = [](std::string name) { return [name = std::move(name)](const RecordedRun& run) { return run.latest(name); }; };
    for (const auto& name : accuracies_of(runs))
        add({.name = name, .better = Better::higher, .digits = 1, .percent = true, .explanation = "share of validation images, as metrics.jsonl has it"}, under(name));
    add({.name = "gain", .better = Better::higher, .digits = 1, .percent = true, .explanation = "knn_top1 above that of the untrained encoder, in points"},
        [](const RecordedRun& run) { return run.gain(); });
    for (const char* baseline : {"knn_top1_random", "knn_top1_pixels"})
        add({.name = baseline, .better = Better::neither, .digits = 1, .percent = true, .explanation = "the same vote with the untrained encoder, and with pixels"}, under(baseline));
    for (const char* name : {"feature_std", "effective_rank", "rank_me", "loss"})
        add({.name = name, .better = Better::neither, .digits = std::string(name) == "feature_std" || std::string(name) == "loss" ? 4 : 1,
             .explanation = std::string(name) == "loss" ? "comparable between runs of one method and loss alone" : "of the features of validation images"}, under(name));
    add({.name = "epoch", .better = Better::neither, .digits = 1, .explanation = "reached"}, under("epoch"));
    add({.name = "train_seconds", .better = Better::lower, .digits = 0, .explanation = "time of training alone"}, under("train_seconds"));
    add({.name = "images/s", .better = Better::higher, .digits = 0, .explanation = "speed of training"}, under("train_images_per_second"));
    return figures;
}

/// Returns the curves of metrics.jsonl that at least one run has two points of, a line for each run.
inline std::vector<eval::Curve> curves_of(const std::vector<RecordedRun>& runs, const std::vector<std::string>& names) {
    std::vector<std::string> keys;
    for (const auto& run : runs)
        for (const auto& line : run.lines)
            for (const auto& [key, value] : line.items())
                if (value.is_number() && std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    std::vector<eval::Curve> curves;
    for (const auto& key : keys) {
        if (key == "step" || key == "epoch" || key.ends_with("_seconds")) continue;
        eval::Curve curve{.name = key, .x_label = "epoch", .y_label = key};
        bool drawn = false;
        for (std::size_t r = 0; r < runs.size(); ++r) {
            curve.series.push_back({.name = names[r], .points = runs[r].curve(key)});
            drawn = drawn || curve.series.back().points.size() > 1;
        }
        if (key.ends_with("_top1")) curve.y_low = 0, curve.y_high = 1;
        if (drawn) curves.push_back(std::move(curve));
    }
    return curves;
}

/// Returns what a reader must know before comparing the figures, one sentence each.
inline std::vector<std::string> cautions_of(const std::vector<RecordedRun>& runs, const std::vector<std::string>& names) {
    std::vector<std::string> lines;
    for (std::size_t r = 0; r < runs.size(); ++r)
        if (runs[r].state != RunState::finished || !runs[r].note.empty())
            lines.push_back(names[r] + (runs[r].state == RunState::finished ? "" : std::string(runs[r].state == RunState::failed ? " " : " is ") + name_of(runs[r].state)) +
                            (runs[r].note.empty() ? "" : ": " + runs[r].note));
    const auto differ = [&](const auto& value_of) {
        return std::any_of(runs.begin(), runs.end(), [&](const auto& run) { return value_of(run) != value_of(runs[0]); });
    };
    if (differ([](const auto& run) { return std::tuple(run.text("resolved/data"), run.text("data/data"), run.text("data/val"), run.text("resolved/validation_images"),
                                                       run.text("resolved/classes")); }))
        lines.push_back("The runs were not evaluated on the same images: their accuracies are not comparable.");
    else if (differ([](const auto& run) { return std::tuple(run.text("data/bank"), run.text("resolved/train_images")); }))
        lines.push_back("The runs did not have the same training images, which k-NN compares with unless there is a bank: that alone changes k-NN.");
    if (differ([](const auto& run) { return run.text("run/k"); })) lines.push_back("k-NN was measured with different k (--k).");
    if (differ([](const auto& run) { return run.text("view_eval"); })) lines.push_back("The evaluation views differ: size, crop or normalization.");
    return lines;
}

/// Returns which run is best by k-NN, and which ones cannot be told from it; empty if fewer than two have the figure.
inline std::string leader_of(const std::vector<RecordedRun>& runs, const std::vector<std::string>& names) {
    std::size_t best = runs.size(), measured = 0;
    for (std::size_t r = 0; r < runs.size(); ++r) {
        const auto value = runs[r].latest("knn_top1");
        if (!value) continue;
        ++measured;
        if (best == runs.size() || *value > *runs[best].latest("knn_top1")) best = r;
    }
    if (measured < 2) return "";
    const double top = *runs[best].latest("knn_top1");
    auto text = fmt::format("{} has the highest k-NN: {:.1f} %", names[best], 100 * top);
    const auto interval = detail::interval_of(runs[best], top);
    if (!interval) return text + ".";
    text += fmt::format(" (95 %: {:.1f} to {:.1f}).", 100 * interval->low, 100 * interval->high);
    std::string near;
    for (std::size_t r = 0; r < runs.size(); ++r)
        if (const auto value = runs[r].latest("knn_top1"); value && r != best && *value >= interval->low) near += (near.empty() ? "" : ", ") + names[r];
    return text + (near.empty() ? " The others lie below this interval." : " Inside this interval too: " + near + ". More validation images or seeds would tell.");
}

/// Puts runs side by side. Throws Error for fewer than two, and for the same run twice.
///
///     eval::write_comparison("comparison.html", run::comparison_of({run::read_run("runs/a"), run::read_run("runs/b")}));
inline eval::Comparison comparison_of(const std::vector<RecordedRun>& runs) {
    require(runs.size() >= 2, "expected at least two run folders to compare, got ", runs.size());
    const auto names = detail::short_names(runs);
    eval::Comparison comparison{.title = fmt::format("{} runs", runs.size()), .summary = leader_of(runs, names)};
    for (const auto& line : cautions_of(runs, names)) comparison.summary += (comparison.summary.empty() ? "" : " ") + line + (line.ends_with('.') ? "" : ".");
    for (std::size_t r = 0; r < runs.size(); ++r) {
        std::string command;
        if (const auto words = runs[r].config.find("command"); words != runs[r].config.end() && words->is_array()) {
            command = "./run train " + runs[r].text("method");
            for (const auto& word : *words) command += " " + detail::quoted(word.is_string() ? word.get<std::string>() : word.dump());
        }
        comparison.runs.push_back({.name = names[r], .command = std::move(command)});
        if (const auto top1 = runs[r].latest("knn_top1")) {
            eval::Measure measure{.name = names[r], .share = *top1, .explanation = fmt::format("k-NN after {:.4g} epochs of {}.", runs[r].latest("epoch").value_or(0), runs[r].text("method"))};
            if (const auto interval = detail::interval_of(runs[r], *top1)) measure.interval = {interval->low, interval->high};
            comparison.measures.push_back(std::move(measure));
        }
    }
    std::stable_sort(comparison.measures.begin(), comparison.measures.end(), [](const auto& a, const auto& b) { return a.share > b.share; });
    comparison.figures = figures_of(runs);
    comparison.facts = differences_of(runs);
    comparison.curves = curves_of(runs, names);
    return comparison;
}

}  // namespace doppel::run
