// SPDX-License-Identifier: Apache-2.0
// The report of a run: one function per section.
#pragma once

#include <doppel/core/version.hpp>
#include <doppel/eval/accuracy.hpp>
#include <doppel/eval/report.hpp>
#include <doppel/io/json_lines.hpp>
#include <doppel/run/command_text.hpp>
#include <doppel/run/config.hpp>
#include <doppel/run/context.hpp>
#include <doppel/run/feature_sections.hpp>
#include <doppel/run/data_summary.hpp>
#include <doppel/run/data_wait.hpp>
#include <doppel/run/metric_curves.hpp>
#include <doppel/run/result.hpp>
#include <doppel/run/view_groups.hpp>
#include <doppel/train/progress.hpp>
#include <doppel/train/trainer.hpp>

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/version.h>

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
    return fmt::format("{}{} was trained {} labels on {} images for {} epochs ({} steps, {}). {}",
                       labels ? run.title() + " is a supervised method: " : "", run.encoder.text, labels ? "with" : "without",
                       run.data.train.size(), run.preset.epochs, result.training.steps, train::duration_text(result.training.seconds),
                       !run.labeled ? "The images have no labels, so the features are shown, not scored."
                       : labels ? "The labels of the validation images were used only to evaluate the features."
                                : "Labels were used only afterwards, to evaluate the features.");
}

/// A few words each, under the title.
inline std::vector<std::string> tags(const Context& run, const train::Trainer& trainer) {
    return {trainer.method().uses_labels() ? "supervised: trained with labels" : "self-supervised",
            fmt::format("{} epochs", run.preset.epochs), fmt::format("seed {}", run.options.train.seed),
            std::string(run.preset.export_encoder == Network::online ? "online" : "target") + " encoder, at the end of training"};
}

/// The linear probe as a bar.
inline eval::Measure linear_bar(const train::Metrics& end, std::int64_t images) {
    const auto [low, high] = eval::wilson(std::llround(end.at("linear_top1") * static_cast<double>(images)), images);
    return {.name = "Linear probe",
            .share = end.at("linear_top1"),
            .explanation = "Logistic regression on the features of the training images" +
                           (end.contains("linear_top1_random") ? fmt::format("; {:.1f} % on those of the untrained encoder.", 100 * end.at("linear_top1_random")) : "."),
            .highlight = true,
            .interval = std::pair(low, high)};
}

/// The k-NN figures and the linear probe as bars; nothing where they were not measured.
inline std::vector<eval::Measure> headline(const Context& run, const train::Metrics& end) {
    if (!end.contains("knn_top1") || !end.contains("knn_top1_random")) return {};
    const auto skipped = run.skipped->validation ? run.skipped->validation->list().size() : 0;
    const auto images = run.data.validation.size() - static_cast<std::int64_t>(skipped);
    const auto [low, high] = eval::wilson(std::llround(end.at("knn_top1") * static_cast<double>(images)), images);
    auto bars = eval::knn_headline({.trained = end.at("knn_top1"),
                                    .untrained = end.at("knn_top1_random"),
                                    .pixels = end.at("knn_top1_pixels"),
                                    .k = run.options.k,
                                    .classes = static_cast<std::int64_t>(run.bank().classes().size()),
                                    .interval = std::pair(low, high)});
    if (end.contains("linear_top1")) bars.insert(bars.begin() + 1, linear_bar(end, images));
    return bars;
}

/// What was run, name and value: what a reader asks first.
inline std::vector<std::pair<std::string, std::string>> facts(const Context& run, const train::Trainer& trainer,
                                                              const RunResult& result) {
    std::vector<std::pair<std::string, std::string>> list{
        {"method", run.title()},
        {"labels", !trainer.method().uses_labels() ? "not used in training"
                                                   : "used in training: do not compare its figures with those of self-supervised methods"},
        {"encoder", fmt::format("{}, {} features", run.encoder.text, trainer.method().feature_dim())},
        {"started from", run.started_from},
        {"images", fmt::format("{} for training, {} for evaluation{}{}", run.data.train.size(), run.data.validation.size(),
                               run.data.bank.empty() ? "" : fmt::format(", {} to compare with", run.data.bank.size()),
                               run.data.format.empty() ? "" : " (" + run.data.format + ")")}};
    if (!run.data.split_rule.empty()) list.emplace_back("split", run.data.split_rule);
    list.emplace_back("batch size", std::to_string(run.preset.batch_size) +
                                        (run.options.train.accumulate > 1
                                             ? fmt::format(", {} passes per step", run.options.train.accumulate)
                                             : ""));
    list.emplace_back("learning rate", trainer.lr().describe());
    list.emplace_back("speed", fmt::format("{:.0f} images/s", result.training.images_per_second));
    list.emplace_back("waiting for images", fmt::format("{:.0f} % of the time of training", 100 * result.training.data_wait));
    if (const auto hint = data_wait_hint(result.training.data_wait, train::loader_threads(run.options.train)); !hint.empty())
        list.back().second += "; " + hint;
    if (result.training.skipped > 0)
        list.emplace_back("skipped steps", fmt::format("{}, because loss or gradients were not finite", result.training.skipped));
    if (!result.training.stopped.empty()) list.emplace_back("ended early", result.training.stopped);
    list.emplace_back("skipped images", run.skipped->count() == 0
                                     ? "none"
                                     : fmt::format("{} damaged or unreadable files, see skipped.jsonl", run.skipped->count()));
    for (const auto& failure : result.failures) list.emplace_back("not measured", failure.what + ": " + failure.reason);
    return list;
}

/// Everything else that was run, folded: views, training, the method's options, environment.
inline std::vector<eval::FactGroup> details(const Context& run, const train::Trainer& trainer) {
    eval::FactGroup views{.title = "Views"}, training{.title = "Training"}, options{.title = "Options of the method"},
        environment{.title = "Environment"};
    const auto& all = run.preset.views;
    for (const auto& [first, last] : view_groups(all))
        views.facts.emplace_back(view_title(first, last, static_cast<std::size_t>(all.globals), all.pipelines.size()),
                                 all.pipelines[first].describe());
    views.facts.emplace_back("evaluation view", run.pipeline().describe());
    training.facts = {{"epochs", std::to_string(run.preset.epochs)},
                      {"steps", std::to_string(trainer.total_steps())},
                      {"images per step", std::to_string(trainer.images_per_step())},
                      {"optimizer", run.preset.optimizer.describe()}};
    if (run.preset.weight_decay) training.facts.emplace_back("weight decay", run.preset.weight_decay->describe());
    if (const auto clip = run.preset.clip.describe(); clip != "none") training.facts.emplace_back("clipping", clip);
    for (const auto& freeze : run.preset.frozen) training.facts.emplace_back("frozen", freeze.describe());
    training.facts.emplace_back("seed", std::to_string(run.options.train.seed));
    for (const auto& [name, value] : run.preset.options.items())
        options.facts.emplace_back(name, value.is_string() ? value.get<std::string>() : value.dump());
    environment.facts = {{"version", std::string("doppel ") + version},
                         {"LibTorch", TORCH_VERSION},
                         {"device", run.device.str() + ", " + std::string(name_of(run.precision))},
                         {"views made on", trainer.augmented()},
                         {"threads", std::to_string(at::get_num_threads())}};
    if (const auto git = git_state(); !git.empty()) environment.facts.emplace_back("git", git);
    std::vector<eval::FactGroup> groups{std::move(views), std::move(training)};
    if (!options.facts.empty()) groups.push_back(std::move(options));
    groups.push_back(std::move(environment));
    return groups;
}

/// Classes and their sizes, and what was skipped.
inline std::vector<eval::Table> data_tables(const Context& run) {
    std::vector<std::pair<std::string, data::Dataset>> parts{{"training", run.data.train}};
    if (!run.data.bank.empty()) parts.emplace_back("to compare with", run.data.bank);
    if (!run.data.validation.empty()) parts.emplace_back("validation", run.data.validation);
    std::vector<eval::Table> tables;
    if (auto classes = class_table(parts, run.bank().classes()); !classes.rows.empty()) tables.push_back(std::move(classes));
    constexpr std::size_t most = 20;
    if (const auto count = run.skipped->count(); count > 0) {
        eval::Table skipped{.title = "Skipped files", .columns = {"reason"}, .folded = true};
        if (count > most) skipped.note = fmt::format("The first {} of {}; skipped.jsonl has all.", most, count);
        for (auto& reason : run.skipped->reasons(most)) skipped.rows.push_back({std::move(reason)});
        tables.push_back(std::move(skipped));
    }
    return tables;
}

/// The table at the end.
inline std::vector<eval::Figure> figures(const train::Metrics& end, std::int64_t feature_dim) {
    auto list = figure_rows(end, feature_dim);
    if (end.contains("attention_on_objects") && end.contains("attention_on_objects_random"))
        list.push_back({"attention_on_objects", fmt::format("{:.3f}", end.at("attention_on_objects")),
                        fmt::format("share of the class token's attention that falls on the objects, of the head with the most; "
                                    "{:.3f} with the untrained encoder, {:.3f} if it were the same everywhere",
                                    end.at("attention_on_objects_random"), end.at("objects_share"))});
    return list;
}

/// The outcome, as the report shows it.
inline eval::Verdict verdict_of(const Outcome& outcome) {
    using State = Outcome::State;
    return {.sentence = outcome.sentence,
            .tone = outcome.state == State::learned     ? eval::Tone::good
                    : outcome.state == State::collapsed ? eval::Tone::bad
                                                        : eval::Tone::unsure,
            .advice = outcome.advice};
}

/// Everything but the pictures.
inline eval::Report report_of(const Context& run, const train::Trainer& trainer, const RunResult& result) {
    auto curves = metric_curves(io::read_json_lines(run.out / "metrics.jsonl"), trainer.method().feature_dim());
    return {.title = run.title() + " on " + run.data.name,
            .summary = summary_text(run, trainer, result),
            .tags = tags(run, trainer),
            .verdict = verdict_of(result.outcome),
            .measures = headline(run, result.metrics),
            .facts = facts(run, trainer, result),
            .details = details(run, trainer),
            .command = command_of(run.options.record),
            .curves = std::move(curves.main),
            .more_curves = std::move(curves.more),
            .tables = data_tables(run),
            .figures = figures(result.metrics, trainer.method().feature_dim())};
}

}  // namespace doppel::run
