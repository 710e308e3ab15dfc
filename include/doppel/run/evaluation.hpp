// SPDX-License-Identifier: Apache-2.0
// What a run measures: k-NN, spread of the features, attention on the objects.
#pragma once

#include <doppel/eval/attention.hpp>
#include <doppel/eval/collapse.hpp>
#include <doppel/eval/features.hpp>
#include <doppel/eval/knn.hpp>
#include <doppel/io/json_lines.hpp>
#include <doppel/run/context.hpp>
#include <doppel/run/measures.hpp>
#include <doppel/train/result.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

namespace doppel::run {

/// Seconds since it was made.
class Stopwatch {
public:
    double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// What the evaluations took whose figures metrics.jsonl holds, but for the one at the end: in all processes of the run.
inline double evaluation_seconds_in(const std::filesystem::path& metrics) {
    double sum = 0;
    if (std::filesystem::exists(metrics))
        for (const auto& line : io::read_json_lines(metrics))
            if (line.value("event", "") != "end") sum += line.value("evaluation_seconds", 0.0);
    return sum;
}

/// What cannot be measured on this data, one line each: said before training.
inline std::vector<std::string> not_measurable(const Context& run) {
    std::vector<std::string> lines;
    const auto& validation = run.data.validation;
    if (validation.empty()) {
        lines.push_back("there are no validation images: nothing is evaluated, the weights are written");
        return lines;
    }
    if (!run.labeled) lines.push_back("the data set has no labels: knn_* metrics are disabled; --val with labeled images, in folders by class, enables them");
    if (validation.size() < 2)
        lines.push_back("there is one validation image: feature_std and effective_rank need at least two");
    return lines;
}

inline Compared compare(const Context& run, const AnyMethod& method) {
    const auto of = [&](const data::Dataset& images, const std::shared_ptr<data::DamagedImages>& damage) {
        return eval::features(method, images, run.pipeline(),
                              {.workers = train::loader_threads(run.options.train), .network = run.preset.export_encoder, .damage = damage, .group = run.options.train.group});
    };
    Compared rows{of(run.bank(), run.bank_damage()), of(run.data.validation, run.skipped->validation)};
    if (!run.labeled) rows.bank.labels = rows.queries.labels = Tensor{};
    return rows;
}

/// A linear probe on 512 features of so many images takes seconds; `./run evaluate` takes all of them.
inline constexpr std::int64_t probe_rows = 20'000;

/// What a run measures of its features.
inline MeasureOptions measured_by(const Context& run) {
    return {.k = {run.options.k}, .linear = run.options.linear, .probe_rows = probe_rows, .seed = static_cast<std::uint64_t>(run.options.train.seed)};
}

/// How many neighbors to look for: fewer than asked for if damaged images leave a smaller bank.
inline std::int64_t neighbors_in(const Context& run, const Compared& rows) {
    return std::min(run.options.k, rows.bank.rows.size(0));
}

inline eval::KnnResult knn(const Context& run, const Compared& rows) {
    return eval::knn(rows.queries.rows, rows.bank.rows, rows.bank.labels, rows.queries.labels,
                     static_cast<std::int64_t>(run.bank().classes().size()), {.k = neighbors_in(run, rows)});
}

/// How much of a Vision Transformer's attention falls on the objects of up to 256 validation images, and their share of
/// the images; nothing for other encoders and for images without masks.
inline train::Metrics attention_metrics(const Context& run, const AnyMethod& method) {
    const auto& images = run.data.validation;
    if (!images.has_masks() || !eval::has_attention(*method.encoder(run.preset.export_encoder))) return {};
    std::vector<std::int64_t> which(static_cast<std::size_t>(std::min<std::int64_t>(256, images.size())));
    std::iota(which.begin(), which.end(), 0);
    const Tensor maps = eval::attention(*method.encoder(run.preset.export_encoder), images, run.pipeline(), which);
    const Tensor masks = eval::patch_masks(images, run.pipeline(), which, maps.size(2), maps.size(3));
    return {{"attention_on_objects", eval::attention_on_objects(maps, masks)}, {"objects_share", masks.mean().item<double>()}};
}

}  // namespace doppel::run
