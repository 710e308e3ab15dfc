// SPDX-License-Identifier: Apache-2.0
// The report of a run: one function per section.
#pragma once

#include <doppel/core/version.hpp>
#include <doppel/eval/report.hpp>
#include <doppel/io/json_lines.hpp>
#include <doppel/run/data_wait.hpp>
#include <doppel/run/context.hpp>
#include <doppel/run/result.hpp>
#include <doppel/train/progress.hpp>
#include <doppel/train/trainer.hpp>

#include <fmt/format.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace doppel::run {

/// A sentence or two under the title.
inline std::string summary_text(const Context& run, const train::Trainer& trainer, const RunResult& result) {
    const bool labels = trainer.method().uses_labels();
    return fmt::format("{} was trained {} labels on {} images for {} epochs ({} steps, {}). {}", run.encoder.text,
                       labels ? "with" : "without", run.data.train.size(), run.preset.epochs,
                       result.training.steps, train::duration_text(result.training.seconds),
                       !run.labeled ? "The images have no labels, so the features are shown, not scored."
                       : labels ? "The labels of the validation images were used only to evaluate the features."
                                                 : "Labels were used only afterwards, to evaluate the features.");
}

/// The k-NN figures as bars; nothing where they were not measured.
inline std::vector<eval::Measure> headline(const Context& run, const train::Metrics& end) {
    if (!end.contains("knn_top1") || !end.contains("knn_top1_random")) return {};
    return eval::knn_headline({.trained = end.at("knn_top1"),
                               .untrained = end.at("knn_top1_random"),
                               .pixels = end.at("knn_top1_pixels"),
                               .k = run.options.k,
                               .classes = static_cast<std::int64_t>(run.bank().classes().size())});
}

/// What was run, name and value.
inline std::vector<std::pair<std::string, std::string>> facts(const Context& run, const train::Trainer& trainer,
                                                              const RunResult& result) {
    std::vector<std::pair<std::string, std::string>> list{
        {"method", run.title()},
        {"encoder", fmt::format("{}, {} features", run.encoder.text, trainer.method().feature_dim())},
        {"started from", run.started_from},
        {"images", fmt::format("{} for training, {} for evaluation{}{}", run.data.train.size(), run.data.validation.size(),
                               run.data.bank.empty() ? "" : fmt::format(", {} to compare with", run.data.bank.size()),
                               run.data.format.empty() ? "" : " (" + run.data.format + ")")}};
    if (!run.data.split_rule.empty()) list.emplace_back("split", run.data.split_rule);
    list.emplace_back("optimizer", run.preset.optimizer.describe());
    list.emplace_back("learning rate", trainer.lr().describe());
    list.emplace_back("batch size", std::to_string(run.preset.batch_size) +
                                        (run.options.train.accumulate > 1
                                             ? fmt::format(", {} passes per step", run.options.train.accumulate)
                                             : ""));
    list.emplace_back("seed", std::to_string(run.options.train.seed));
    list.emplace_back("device", run.device.str() + ", " + std::string(name_of(run.precision)));
    list.emplace_back("speed", fmt::format("{:.0f} images/s", result.training.images_per_second));
    list.emplace_back("waiting for images", fmt::format("{:.0f} % of the time of training", 100 * result.training.data_wait));
    if (const auto hint = data_wait_hint(result.training.data_wait, train::loader_threads(run.options.train)); !hint.empty())
        list.back().second += "; " + hint;
    list.emplace_back("skipped", run.skipped->count() == 0
                                     ? "nothing"
                                     : fmt::format("{} damaged or unreadable files, see skipped.jsonl", run.skipped->count()));
    for (const auto& failure : result.failures) list.emplace_back("not measured", failure.what + ": " + failure.reason);
    list.emplace_back("version", std::string("doppel ") + version);
    const auto& views = run.preset.views.pipelines;
    for (std::size_t v = 0; v < views.size(); ++v) {  // equal ones once
        std::size_t last = v;
        while (last + 1 < views.size() && views[last + 1].describe() == views[v].describe()) ++last;
        list.emplace_back(last > v ? fmt::format("views {} to {}", v + 1, last + 1) : fmt::format("view {}", v + 1),
                          views[v].describe());
        v = last;
    }
    return list;
}

/// The curves of metrics.jsonl.
inline std::vector<eval::Curve> curves(const Context& run) {
    struct Wanted {
        const char *key, *name, *y_label;
        bool from_zero = false, share = false;
    };
    const auto lines = io::read_json_lines(run.out / "metrics.jsonl");
    std::vector<eval::Curve> list;
    for (const auto& [key, name, y_label, from_zero, share] :
         {Wanted{"loss", "Loss", "loss"}, Wanted{"lr", "Learning rate", "learning rate", true},
          Wanted{"feature_std", "Spread of the features", "std of unit-norm features", true},
          Wanted{"knn_top1", "k-NN accuracy", "share", true, true}, Wanted{"images_per_second", "Speed", "images/s", true},
          Wanted{"data_wait", "Waiting for images", "share of the time", true, true}}) {
        eval::Curve curve{.name = name, .x_label = "epoch", .y_label = y_label, .series = {{}}};
        for (const auto& line : lines)
            if (line.contains(key) && line[key].is_number() && line.contains("epoch"))
                curve.series[0].points.emplace_back(line["epoch"].get<double>(), line[key].get<double>());
        if (curve.series[0].points.size() < 2) continue;
        if (from_zero) curve.y_low = 0;
        if (share) curve.y_high = 1;
        list.push_back(std::move(curve));
    }
    return list;
}

/// The table at the end.
inline std::vector<eval::Figure> figures(const train::Metrics& end, std::int64_t feature_dim) {
    std::vector<eval::Figure> list;
    if (end.contains("feature_std"))
        list.push_back({"feature_std", fmt::format("{:.4f}", end.at("feature_std")),
                        fmt::format("spread of the unit-norm features: about {:.3f} is healthy, 0 is collapse",
                                    1 / std::sqrt(static_cast<double>(feature_dim)))});
    if (end.contains("effective_rank"))
        list.push_back({"effective_rank", fmt::format("{:.1f}", end.at("effective_rank")),
                        fmt::format("how many of the {} feature directions are in use", feature_dim)});
    if (end.contains("attention_on_objects") && end.contains("attention_on_objects_random"))
        list.push_back({"attention_on_objects", fmt::format("{:.3f}", end.at("attention_on_objects")),
                        fmt::format("share of the class token's attention that falls on the objects, of the head with the most; "
                                    "{:.3f} with the untrained encoder, {:.3f} if it were the same everywhere",
                                    end.at("attention_on_objects_random"), end.at("objects_share"))});
    return list;
}

/// Everything but the pictures.
inline eval::Report report_of(const Context& run, const train::Trainer& trainer, const RunResult& result) {
    return {.title = run.title() + " on " + run.data.name,
            .summary = summary_text(run, trainer, result),
            .measures = headline(run, result.metrics),
            .facts = facts(run, trainer, result),
            .curves = curves(run),
            .sheets = {},
            .neighbors = {},
            .figures = figures(result.metrics, trainer.method().feature_dim())};
}

}  // namespace doppel::run
