// SPDX-License-Identifier: Apache-2.0
// The curves of a run's report, from metrics.jsonl.
#pragma once

#include <doppel/eval/chart.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace doppel::run {

/// The curves that a reader looks at first, and the others.
struct MetricCurves {
    std::vector<eval::Curve> main{}, more{};
};

namespace detail {

using Points = std::vector<std::pair<double, double>>;

/// The values of `key` over the epochs. Several lines of one epoch follow each other, as they were written.
inline Points points_of(const std::vector<nlohmann::ordered_json>& lines, const std::string& key) {
    Points points;
    for (const auto& line : lines) {
        const auto value = line.find(key), epoch = line.find("epoch");
        if (value == line.end() || epoch == line.end() || !value->is_number() || !epoch->is_number()) continue;
        if (!points.empty() && epoch->get<double>() < points.back().first) continue;  // the last line of an earlier end
        points.emplace_back(epoch->get<double>(), value->get<double>());
    }
    return points;
}

/// A level over the whole width.
inline eval::Series level_of(std::string name, double value, double end) {
    return {.name = std::move(name), .points = {{0, value}, {end, value}}, .reference = true};
}

/// What a key of metrics.jsonl is called in a chart.
struct NamedKey {
    const char *key, *name;
};

/// A chart of several keys; those with less than two values are left out, and a chart without any is empty.
inline eval::Curve chart_of(const std::vector<nlohmann::ordered_json>& lines, eval::Curve curve,
                            const std::vector<NamedKey>& keys, std::set<std::string>& used) {
    curve.x_label = "epoch";
    for (const auto& [key, name] : keys) {
        used.insert(key);
        if (auto points = points_of(lines, key); points.size() >= 2)
            curve.series.push_back({.name = name, .points = std::move(points)});
    }
    return curve;
}

}  // namespace detail

/// Returns the charts of what the lines hold: loss, accuracies beside their baselines, collapse measures, gradient norm and
/// learning rate first; speed, waiting, and every other number that changes after them. `feature_dim`: of the encoder, for the
/// level of healthy features; 0: no level.
inline MetricCurves metric_curves(const std::vector<nlohmann::ordered_json>& lines, std::int64_t feature_dim) {
    using detail::chart_of;
    MetricCurves made;
    std::set<std::string> used{"step",           "epoch", "train_seconds", "evaluation_seconds", "knn_top1_random",
                               "knn_top1_pixels"};
    double last = 0;
    for (const auto& line : lines)
        if (line.contains("epoch") && line["epoch"].is_number()) last = std::max(last, line["epoch"].get<double>());
    const auto level = [&](eval::Curve& curve, const char* key, const char* name) {
        for (const auto& line : lines)
            if (line.contains(key) && line[key].is_number() && !curve.series.empty())
                return curve.series.push_back(detail::level_of(name, line[key].get<double>(), last));
    };
    const auto add = [](std::vector<eval::Curve>& list, eval::Curve curve) {
        if (!curve.series.empty()) list.push_back(std::move(curve));
    };

    add(made.main, chart_of(lines, {.name = "Loss", .y_label = "loss"}, {{"loss", ""}}, used));
    auto accuracy =
        chart_of(lines, {.name = "Accuracy on validation images", .y_label = "share of the images", .y_low = 0},
                 {{"knn_top1", "k-NN"}, {"online_top1", "online probe"}, {"linear_top1", "linear probe"}}, used);
    level(accuracy, "knn_top1_pixels", "raw pixels");
    level(accuracy, "knn_top1_random", "untrained");
    add(made.main, std::move(accuracy));
    auto spread = chart_of(lines, {.name = "Spread of the outputs", .y_label = "std of unit-norm rows", .y_low = 0},
                           {{"feature_std", "features"}, {"embedding_std", "embeddings"}}, used);
    if (feature_dim > 0 && !spread.series.empty())
        spread.series.push_back(
            detail::level_of("even features", 1 / std::sqrt(static_cast<double>(feature_dim)), last));
    add(made.main, std::move(spread));
    add(made.main,
        chart_of(lines, {.name = "Effective rank", .y_label = "directions in use", .y_low = 0},
                 {{"effective_rank", "features"}, {"rank_me", "features"}, {"embedding_rank", "embeddings"}}, used));
    add(made.main, chart_of(lines, {.name = "Cosine between embeddings", .y_label = "mean over pairs of images"},
                            {{"embedding_cos", ""}}, used));
    add(made.main, chart_of(lines, {.name = "Gradient norm", .y_label = "norm before clipping", .log_y = true},
                            {{"grad_norm", ""}}, used));
    add(made.main,
        chart_of(lines, {.name = "Learning rate", .y_label = "learning rate", .y_low = 0}, {{"lr", ""}}, used));
    add(made.more,
        chart_of(lines, {.name = "Speed", .y_label = "images/s", .y_low = 0}, {{"images_per_second", ""}}, used));
    add(made.more,
        chart_of(lines, {.name = "Waiting for images", .y_label = "share of the time", .y_low = 0, .y_high = 1},
                 {{"data_wait", ""}}, used));

    std::vector<std::string> others;  // in the order of the lines
    for (const auto& line : lines)
        for (const auto& [key, value] : line.items())
            if (value.is_number() && used.insert(key).second) others.push_back(key);
    for (const auto& key : others) {
        auto points = detail::points_of(lines, key);
        if (points.size() < 2) continue;
        made.more.push_back(
            {.name = key, .x_label = "epoch", .y_label = key, .series = {{.name = "", .points = std::move(points)}}});
    }
    return made;
}

}  // namespace doppel::run
