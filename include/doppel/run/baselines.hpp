// SPDX-License-Identifier: Apache-2.0
// What the trained encoder must beat: k-NN on raw pixels and with the encoder before its first step.
#pragma once

#include <doppel/eval/pixels.hpp>
#include <doppel/io/json_lines.hpp>
#include <doppel/run/context.hpp>
#include <doppel/run/evaluation.hpp>
#include <doppel/run/folder.hpp>
#include <doppel/run/start.hpp>
#include <doppel/run/told.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace doppel::run {

/// Everything that the baselines depend on. Figures of another measurement do not stand beside the trained encoder's.
inline nlohmann::ordered_json measured_with(const Context& run) {
    const auto list = [](const data::Dataset& images) {
        const auto print = images.fingerprint();
        return std::to_string(images.size()) + (print.empty() ? "" : " " + print);
    };
    nlohmann::ordered_json with{{"k", run.options.k},
            {"training_images", list(run.bank())},
            {"validation_images", list(run.data.validation)},
            {"pipeline", run.pipeline().describe()},
            {"encoder", run.encoder.text},
            {"seed", run.options.train.seed}};
    if (!run.options.init.empty()) with["started_from"] = run.started_from;
    return with;
}

/// The baselines that the run's metrics hold, where they were measured with the same images and options.
inline std::optional<train::Metrics> known_baselines(const Context& run) {
    const auto path = run.out / "metrics.jsonl";
    if (!std::filesystem::exists(path)) return std::nullopt;
    for (const auto& line : io::read_json_lines(path)) {
        if (line.value("event", "") != "baselines" || line.value("measured_with", nlohmann::ordered_json()) != measured_with(run))
            continue;
        train::Metrics found;
        for (const auto& [name, value] : line.items())
            if (value.is_number() && name != "step" && name != "epoch" && name != "evaluation_seconds") found[name] = value.get<double>();
        return found;
    }
    return std::nullopt;
}

/// k-NN on raw pixels, and what an untrained method's features give.
inline train::Metrics baselines_without_training(const Context& run, const AnyMethod& untrained, const Compared& rows) {
    train::Metrics found;
    found["knn_top1_pixels"] = eval::knn_pixels(run.bank(), run.data.validation, run.pipeline(),
                                                {.knn = {.k = run.options.k},
                                                 .workers = train::loader_threads(run.options.train),
                                                 .bank_damage = run.bank_damage(),
                                                 .query_damage = run.skipped->validation})
                                   .top1;
    const auto without_training = measure(rows, static_cast<std::int64_t>(run.bank().classes().size()), measured_by(run));
    for (const char* name : {"knn_top1", "linear_top1"})
        if (const auto value = without_training.figures.find(name); value != without_training.figures.end()) found[name + std::string("_random")] = value->second;
    if (const auto looks = attention_metrics(run, untrained); !looks.empty())
        found["attention_on_objects_random"] = looks.at("attention_on_objects");
    return found;
}

/// Measures the baselines, with a fresh network of the run's seed and with the weights of --init, unless the run's metrics
/// hold them; writes them there.
inline train::Metrics baselines(const Context& run) {
    const Group& group = run.options.train.group;
    if (auto known = told(group, [&] { return known_baselines(run).value_or(train::Metrics{}); }); !known.empty()) return known;
    const Stopwatch watch;
    const AnyMethod untrained = run.preset.recipe.build({.seed = static_cast<std::uint64_t>(run.options.train.seed)});
    untrained.module().to(run.device);
    const auto rows = compare(run, untrained);
    train::Metrics found = told(group, [&] { return baselines_without_training(run, untrained, rows); });
    if (!run.options.init.empty()) {
        start_from(run, untrained);
        const auto started = compare(run, untrained);
        found["knn_top1_init"] = told(group, [&] { return knn(run, started).top1; });
    }
    if (!group.first()) return found;
    nlohmann::ordered_json line{{"step", 0}, {"epoch", 0}};
    for (const auto& [name, value] : found) line[name] = value;
    line["evaluation_seconds"] = watch.seconds();
    line["measured_with"] = measured_with(run);
    write_event(run.out / "metrics.jsonl", "baselines", std::move(line));
    return found;
}

}  // namespace doppel::run
