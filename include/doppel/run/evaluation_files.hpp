// SPDX-License-Identifier: Apache-2.0
// What an evaluation leaves: a table for people, evaluation.json, report.html.
#pragma once

#include <doppel/core/version.hpp>
#include <doppel/io/atomic_file.hpp>
#include <doppel/run/evaluate.hpp>
#include <doppel/run/evaluation_report.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <torch/version.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>

namespace doppel::run {

/// The scores as a table: protocol, top-1 with its interval, top-5, mean of the classes; below it the other figures.
inline std::string evaluation_table(const Evaluation& found) {
    std::size_t wide = 8;
    for (const auto* list : {&found.measures.scores, &found.baselines})
        for (const auto& score : *list) wide = std::max(wide, score.name().size());
    std::string text;
    const auto add = [&](const Score& score) {
        const auto& a = score.accuracy;
        text += fmt::format("{:<{}}  {:6.2f} %  {:6.2f} to {:5.2f}  {:6.2f} %  {:6.2f} %\n", score.name(), wide, 100 * a.top1, 100 * a.interval.low,
                            100 * a.interval.high, 100 * a.top5, 100 * a.mean_per_class);
    };
    if (!found.measures.scores.empty())
        text += fmt::format("{:<{}}  {:>8}  {:>15}  {:>8}  {:>8}\n", "protocol", wide, "top-1", "95 % interval", "top-5", "by class");
    for (const auto& score : found.measures.scores) add(score);
    for (const auto& score : found.baselines) add(score);
    for (const auto& score : found.measures.scores)
        if (score.name() != score.protocol) text += score.protocol + "\n";
    if (found.measures.probe && found.measures.probe->strength > 0)
        text += fmt::format("linear probe: logistic regression, L2 strength {:g} chosen on held-out training features\n", found.measures.probe->strength);
    for (const auto& [name, value] : found.measures.figures)
        if (!name.ends_with("_top1") && !name.ends_with("_top5")) text += fmt::format("{:<{}}  {:.4g}\n", name, wide, value);
    for (const auto& failure : found.measures.failures) text += fmt::format("not measured: {}: {}\n", failure.what, failure.reason);
    return text;
}

/// Everything as JSON: encoder, data, scores, baselines, measures.
inline nlohmann::ordered_json evaluation_json(const Judged& judged, const Evaluation& found) {
    const auto& [file, opened, images, feature, how, skipped] = judged;
    nlohmann::ordered_json json{{"doppel", version}, {"torch", TORCH_VERSION}};
    json["encoder"] = {{"file", file.string()},
                       {"origin", opened.origin},
                       {"arch", opened.spec.name()},
                       {"feature", feature.title()},
                       {"feature_dim", found.rows.bank.rows.size(1)},
                       {"preprocessing", opened.pipeline.describe()}};
    for (const char* name : {"method", "step", "network"})
        if (const auto entry = opened.metadata.find(name); entry != opened.metadata.end()) json["encoder"][name] = entry->second;
    const auto& bank = images.bank.empty() ? images.train : images.bank;
    json["data"] = {{"name", images.name},
                    {"kind", images.format},
                    {"split", images.split_rule},
                    {"bank_images", found.rows.bank.rows.size(0)},
                    {"validation_images", found.rows.queries.rows.size(0)},
                    {"skipped_images", skipped ? skipped->count() : 0},
                    {"classes", bank.classes()}};
    const auto score_json = [](const Score& score) {
        const auto& a = score.accuracy;
        nlohmann::ordered_json line{{"protocol", score.protocol}, {"top1", a.top1},           {"interval", {a.interval.low, a.interval.high}},
                                    {"top5", a.top5},             {"mean_per_class", a.mean_per_class}, {"per_class", nlohmann::json::array()},
                                    {"images", a.count}};
        for (const double share : a.per_class) line["per_class"].push_back(share);  // NaN becomes null
        return line;
    };
    json["scores"] = json["baselines"] = nlohmann::ordered_json::object();
    for (const auto& score : found.measures.scores) json["scores"][score.key] = score_json(score);
    for (const auto& score : found.baselines) json["baselines"][score.key] = score_json(score);
    if (found.measures.probe) json["linear_probe"] = {{"strength", found.measures.probe->strength}, {"iterations", found.measures.probe->iterations},
                                                      {"converged", found.measures.probe->converged}};
    json["seed"] = how.measures.seed;
    for (const auto& [name, value] : found.measures.figures) json["measures"][name] = value;
    for (const auto& failure : found.measures.failures) json["failed"][failure.what] = failure.reason;
    return json;
}

/// Writes evaluation.json and report.html to a folder, each whole or not at all; a report that fails is recorded in
/// evaluation.json. Lists skipped images in skipped.jsonl.
inline void write_evaluation(const std::filesystem::path& folder, const Judged& judged, Evaluation& found) {
    found.measures.attempt("report", [&] { eval::write_report(folder / "report.html", evaluation_report(judged, found)); });
    if (judged.skipped) judged.skipped->write(folder);
    using Handler = nlohmann::ordered_json::error_handler_t;
    io::write_atomically(folder / "evaluation.json", evaluation_json(judged, found).dump(2, ' ', false, Handler::replace) + "\n");
}

}  // namespace doppel::run
