// SPDX-License-Identifier: Apache-2.0
// What a run reached, in a sentence, by stated rules.
#pragma once

#include <doppel/eval/gain.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel::run {

/// What an outcome is decided by; all of it stands in metrics.jsonl.
struct Evidence {
    std::map<std::string, double> end{};           ///< figures of the last evaluation and of the baselines: knn_top1, knn_top1_random, …
    std::vector<nlohmann::ordered_json> history{};  ///< the lines of metrics.jsonl
    std::int64_t images = 0;                        ///< validation images that k-NN classified
    std::int64_t k = 20;                            ///< neighbors that voted
    std::int64_t feature_dim = 0;                   ///< width of the features
    std::int64_t epochs = 0, steps = 0;             ///< trained
    std::int64_t skipped_steps = 0;
    bool collapse_seen = false;                     ///< the collapse watch warned
};

/// What a run reached.
struct Outcome {
    enum class State {
        learned,    ///< the features are better than the baselines
        not_yet,    ///< they are not, or not by more than chance explains
        collapsed,  ///< the embeddings no longer distinguish images
        unknown,    ///< nothing says: no labels, or a figure is missing
    };
    State state = State::unknown;
    std::string sentence{};  ///< what was reached, and why one may believe it
    std::string advice{};    ///< what to change first; empty: nothing
};

/// "learned", "not yet", "collapsed", "unknown".
constexpr std::string_view name_of(Outcome::State state) {
    return std::array<std::string_view, 4>{"learned", "not yet", "collapsed", "unknown"}[static_cast<std::size_t>(state)];
}

namespace detail {

/// The values of a figure in the order of the lines, without those of the run's end.
inline std::vector<double> series_of(const std::vector<nlohmann::ordered_json>& lines, const char* name) {
    std::vector<double> values;
    for (const auto& line : lines)
        if (!line.contains("event") && line.contains(name) && line[name].is_number()) values.push_back(line[name].get<double>());
    return values;
}

inline double mean_of(const std::vector<double>& values, std::size_t from, std::size_t to) {
    double sum = 0;
    for (std::size_t i = from; i < to; ++i) sum += values[i];
    return sum / static_cast<double>(to - from);
}

/// Whether the last fifth of the values lies below the fifth before by more than a twentieth of the whole fall.
inline bool still_falls(const std::vector<double>& values) {
    const std::size_t n = values.size(), fifth = n / 5;
    if (n < 10) return false;
    const double first = mean_of(values, 0, fifth), before = mean_of(values, n - 2 * fifth, n - fifth), last = mean_of(values, n - fifth, n);
    return first > last && before - last > 0.05 * (first - last);
}

/// The step from which all samples of the embeddings until the end were collapsed; nothing if there were fewer than five and the
/// watch, which also sees samples that are not logged, did not warn.
inline std::optional<nlohmann::ordered_json> collapsed_since(const Evidence& e) {
    std::optional<nlohmann::ordered_json> since;
    std::int64_t samples = 0;
    for (const auto& line : e.history) {
        if (!line.contains("embedding_collapsed") || !line["embedding_collapsed"].is_number()) continue;
        if (line["embedding_collapsed"].get<double>() == 0) {
            since.reset();
            samples = 0;
        } else if (samples++ == 0) {
            since = line;
        }
    }
    return samples >= 5 || e.collapse_seen ? since : std::nullopt;
}

inline std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

/// What to change first where nothing was gained; the first rule that applies.
inline std::string advice_for(const Evidence& e, const eval::Gain& gain) {
    const auto loss = series_of(e.history, "loss"), knn = series_of(e.history, "knn_top1"), cosines = series_of(e.history, "embedding_cos");
    if (e.skipped_steps * 100 > e.steps + e.skipped_steps)
        return fmt::format("{} steps were skipped because loss or gradients were not finite: change that first, by a lower --lr, a longer "
                           "--warmup or --precision fp32",
                           e.skipped_steps);
    if (e.steps < 1000)
        return fmt::format("{} steps are few: train longer first, with --epochs {} for about 2,000", e.steps,
                           std::max<std::int64_t>(2 * e.epochs, (2000 * e.epochs + e.steps - 1) / std::max<std::int64_t>(e.steps, 1)));
    if (!cosines.empty() && cosines.back() > 0.8)
        return fmt::format("the embeddings of different images are alike (mean cosine {:.2f}): change first a lower --temperature where the "
                           "method has one, else a lower --lr or a larger --batch-size",
                           cosines.back());
    if (still_falls(loss) || (knn.size() >= 2 && knn.back() > knn[knn.size() - 2]))
        return fmt::format("{} at the end: train longer first, with --epochs {}",
                           still_falls(loss) ? "the loss was still falling" : "k-NN was still rising", 3 * e.epochs);
    if (!knn.empty() && *std::max_element(knn.begin(), knn.end()) > e.end.at("knn_top1") + (gain.high - gain.low) / 2)
        return fmt::format("k-NN was {} before and has fallen since: the views can be matched without knowing what the images show; change the "
                           "augmentations first (stronger colors, smaller crops), then a lower --lr",
                           percent(*std::max_element(knn.begin(), knn.end())));
    if (gain.value > 0)
        return fmt::format("with {} validation images a gain of {:.1f} points may be chance: more of them, or several seeds, tell", e.images,
                           100 * gain.value);
    return "the loss has come to rest: change the learning rate first (--lr, three times as high and as low), then temperature, batch size "
           "and augmentations";
}

}  // namespace detail

/// Says what a run reached, by these rules; the first that applies:
///
///  1. collapsed: to the end, at least five samples of the embeddings in a row were collapsed (eval::CollapseWatch), or the
///     features' spread, feature_std·√D, is below 0.1; and k-NN does not contradict by rule 3;
///  2. unknown: k-NN or a baseline was not measured (images without labels);
///  3. learned: k-NN is better than all baselines, raw pixels, the untrained encoder and, with --init, the weights that it started
///     from, by more than chance explains: the 95 % interval of the gain over the best one lies above 0 (eval::gain_of);
///  4. not yet: else. The advice is what to change first: what makes steps be skipped; fewer than 1,000 steps; embeddings that are
///     alike (mean cosine above 0.8); a loss that fell by more than a twentieth of its fall in the last fifth, or k-NN that rose
///     last; k-NN that has fallen by more than the interval; too few validation images; else the learning rate.
///
///     const run::Outcome outcome = run::outcome_of({.end = result.metrics, .history = lines, .images = 1000, …});
///     std::puts(outcome.sentence.c_str());
inline Outcome outcome_of(const Evidence& e) {
    using State = Outcome::State;
    const auto figure = [&](const char* name) {
        const auto found = e.end.find(name);
        return found == e.end.end() || !std::isfinite(found->second) ? std::nullopt : std::optional(found->second);
    };
    const auto knn = figure("knn_top1"), untrained = figure("knn_top1_random"), pixels = figure("knn_top1_pixels"), std = figure("feature_std");
    const auto since = detail::collapsed_since(e);
    const bool features_alike = std && *std * std::sqrt(static_cast<double>(e.feature_dim)) < 0.1;
    const bool scored = knn && untrained && pixels && e.images > 0;

    std::string figures;
    eval::Gain gain;
    if (scored) {
        const auto right = [&](double share) { return std::llround(share * static_cast<double>(e.images)); };
        std::vector<std::pair<std::string, double>> baselines{{"raw pixels", *pixels}, {"the untrained encoder", *untrained}};
        if (const auto start = figure("knn_top1_init")) baselines.emplace_back("the weights that it started from", *start);
        const auto best = std::max_element(baselines.begin(), baselines.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
        gain = eval::gain_of(right(*knn), e.images, right(best->second), e.images);
        const auto interval = eval::wilson(right(*knn), e.images);
        figures = fmt::format("k-NN (k = {}) is right for {} of {} validation images (95 % interval {:.1f} to {:.1f})", e.k, detail::percent(*knn),
                              e.images, 100 * interval.low, 100 * interval.high);
        for (const auto& [name, share] : baselines)
            figures += (name == baselines.front().first ? "; " + name + " reach " : ", " + name + " ") + detail::percent(share);
        figures += fmt::format("; the gain over the {}, {}, is {:.1f} points ({:.1f} to {:.1f})", baselines.size() == 2 ? "better one" : "best of these",
                               best->first, 100 * gain.value, 100 * gain.low, 100 * gain.high);
    }
    const bool gained = scored && gain.low > 0;
    std::string alike;
    if (since)
        alike = fmt::format("since step {} (epoch {:.1f}) the embeddings do not distinguish images{}", since->value("step", std::int64_t{0}),
                            since->value("epoch", 0.0),
                            since->contains("embedding_cos") && (*since)["embedding_cos"].is_number()
                                ? fmt::format(" (mean cosine {:.2f})", (*since)["embedding_cos"].get<double>())
                                : "");
    else if (features_alike)
        alike = fmt::format("the features do not distinguish images (spread {:.2f}, where about 1 is healthy)",
                            *std * std::sqrt(static_cast<double>(e.feature_dim)));

    if (!alike.empty() && !gained)
        return {State::collapsed, "Collapsed: " + alike + "." + (scored ? " " + std::string("K") + figures.substr(1) + "." : ""),
                "try a lower --lr, a longer --warmup or a larger --batch-size first; in a custom method, check stop-gradient, predictor, EMA and "
                "temperature"};
    if (!scored) {
        std::string text = knn ? "Unknown: k-NN is right for " + detail::percent(*knn) + " of the validation images, and the baselines were not measured"
                               : "Unknown: k-NN was not measured, so nothing says what the features are good for";
        if (std) text += fmt::format("; their spread is {:.2f}, where about 1 is healthy", *std * std::sqrt(static_cast<double>(e.feature_dim)));
        return {State::unknown, text + ".", knn ? "" : "--val with a small labeled set, in folders by class, enables k-NN"};
    }
    if (gained)
        return {State::learned, "Learned: " + figures + (alike.empty() ? "." : ". But " + alike + "."),
                !alike.empty()                                           ? "look at the collapse first: a lower --lr, a longer --warmup or a larger --batch-size"
                : detail::still_falls(detail::series_of(e.history, "loss")) ? "the loss was still falling at the end: more --epochs may give more"
                                                                         : ""};
    return {State::not_yet, "Not yet: " + figures + ".", detail::advice_for(e, gain)};
}

/// As it stands in metrics.jsonl.
inline nlohmann::ordered_json to_json(const Outcome& outcome) {
    nlohmann::ordered_json json{{"state", name_of(outcome.state)}, {"sentence", outcome.sentence}};
    if (!outcome.advice.empty()) json["advice"] = outcome.advice;
    return json;
}

}  // namespace doppel::run
