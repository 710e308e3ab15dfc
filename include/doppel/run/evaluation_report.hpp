// SPDX-License-Identifier: Apache-2.0
// The report of an evaluation.
#pragma once

#include <doppel/core/version.hpp>
#include <doppel/eval/report.hpp>
#include <doppel/run/evaluate.hpp>
#include <doppel/run/feature_sections.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/version.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace doppel::run {

/// What was judged, by what.
struct Judged {
    std::filesystem::path file{};  ///< run folder, checkpoint or file of weights
    const weights::OpenedEncoder& opened;
    const Data& images;
    eval::Feature feature{};
    EvaluateOptions how{};
    std::shared_ptr<Skipped> skipped{};

    const data::Dataset& bank() const { return images.bank.empty() ? images.train : images.bank; }
    bool labeled() const { return bank().labeled() && images.validation.labeled(); }
};

namespace detail {

/// The headline scores as bars.
inline std::vector<eval::Measure> score_bars(const Evaluation& found, std::int64_t classes) {
    std::vector<eval::Measure> bars;
    const auto add = [&](const Score& score, std::string text, bool highlight) {
        const auto& a = score.accuracy;
        bars.push_back({.name = score.name(), .share = a.top1, .explanation = std::move(text), .highlight = highlight, .interval = std::pair(a.interval.low, a.interval.high)});
    };
    for (const auto& [key, text] : {std::pair("linear", "Logistic regression on the features of the training images."),
                                    std::pair("knn", "The nearest training images vote, by the cosine of the features."),
                                    std::pair("fine_tuned", "A copy of the network, trained further on the labels."),
                                    std::pair("linear_sgd", "A linear layer on the frozen network, trained with augmented views.")})
        for (const auto& score : found.measures.scores)
            if (score.key == key) add(score, text, true);
    for (const auto& score : found.baselines)
        add(score, score.key == "knn_pixels" ? "Distances between pixels: a baseline without learning." : "The same network before training.", false);
    if (!bars.empty() && classes > 0)
        bars.push_back({.name = "Guessing", .share = 1.0 / static_cast<double>(classes), .explanation = fmt::format("One of {} classes, picked at random.", classes)});
    return bars;
}

}  // namespace detail

/// Returns the whole report.
inline eval::Report evaluation_report(const Judged& judged, Evaluation& found) {
    const auto& opened = judged.opened;
    const auto& validation = judged.images.validation;
    const auto classes = judged.bank().classes();
    const auto name = judged.file.filename().empty() ? judged.file.parent_path().filename().string() : judged.file.filename().string();
    eval::Report report{.title = name + " judged on " + judged.images.name};
    report.summary = fmt::format("{} ({}). Its {} of {} values were compared on {} images{}.", opened.spec.name(), opened.origin, judged.feature.title(),
                                 found.rows.bank.rows.size(1), found.rows.queries.rows.size(0),
                                 judged.labeled() ? " with labels; the probes learned from the training images' labels" : "; they have no labels, so the features are shown, not scored");
    report.measures = detail::score_bars(found, static_cast<std::int64_t>(classes.size()));
    report.facts = {{"encoder", fmt::format("{}, {} features", opened.spec.name(), opened.module->feature_dim())},
                    {"weights", judged.file.string()},
                    {"origin", opened.origin},
                    {"feature", judged.feature.title()},
                    {"images", fmt::format("{} to compare with, {} to judge by ({})", found.rows.bank.rows.size(0), found.rows.queries.rows.size(0),
                                           judged.images.format)},
                    {"split", judged.images.split_rule},
                    {"preprocessing", opened.pipeline.describe()}};
    if (const auto& probe = found.measures.probe)
        report.facts.emplace_back("linear probe", fmt::format("logistic regression on the features of {} images, L2 strength {:g} chosen on {} of them, {}",
                                                              probe->rows, probe->strength, probe->held_out, probe->converged ? "converged" : "not converged"));
    for (const auto& failure : found.measures.failures) report.facts.emplace_back("not measured", failure.what + ": " + failure.reason);
    eval::FactGroup more{.title = "Network and environment"};
    for (const char* key : {"method", "network", "step"})
        if (const auto entry = opened.metadata.find(key); entry != opened.metadata.end()) more.facts.emplace_back(key, entry->second);
    if (!opened.left_aside.empty()) more.facts.emplace_back("tensors left aside", fmt::format("{}", fmt::join(opened.left_aside, ", ")));
    more.facts.emplace_back("version", fmt::format("doppel {}, torch {}", version, TORCH_VERSION));
    report.details.push_back(std::move(more));
    if (!found.measures.scores.empty()) report.tables.push_back(score_table(found.measures.scores, found.baselines));
    report.figures = figure_rows(found.measures.figures, found.rows.queries.rows.size(1));

    auto& measures = found.measures;
    if (measures.nearest)
        measures.attempt("picture of the neighbors", [&] {
            report.neighbors.push_back(neighbor_sheet(judged.bank(), validation, judged.labeled(), found.rows.bank, found.rows.queries, *measures.nearest,
                                                      judged.images.bank.empty() ? "training images" : "labeled images"));
        });
    measures.attempt("maps of the features", [&] { report.maps = feature_maps(found.rows.queries, validation); });
    if (measures.spectrum) report.spectra = {spectrum_curve(*measures.spectrum)};
    for (const auto& score : measures.scores)
        if (score.key == "linear" || (score.key == "knn" && !measures.probe))
            report.confusion.push_back(confusion_of(score.protocol, score.accuracy, classes));
    measures.attempt("picture of the attention", [&] {
        if (auto made = attention_sheet(*opened.module, validation, opened.pipeline, found.rows.queries)) report.sheets.push_back(std::move(made->sheet));
    });
    measures.attempt("picture of the patches", [&] {
        if (auto made = patch_sheet(*opened.module, validation, opened.pipeline, found.rows.queries)) report.sheets.push_back(*std::move(made));
    });
    return report;
}

}  // namespace doppel::run
