// SPDX-License-Identifier: Apache-2.0
// What is measured of features: k-NN, a linear probe, spread, rank and spectrum.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/eval/accuracy.hpp>
#include <doppel/eval/collapse.hpp>
#include <doppel/eval/features.hpp>
#include <doppel/eval/few_labels.hpp>
#include <doppel/eval/knn.hpp>
#include <doppel/eval/logistic.hpp>
#include <doppel/eval/spectrum.hpp>
#include <doppel/eval/uniformity.hpp>
#include <doppel/run/result.hpp>
#include <doppel/train/error_text.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace doppel::run {

/// Features of the bank, which is the training images unless there is another one, and of the validation images (the queries).
struct Compared {
    eval::Features bank, queries;
};

struct MeasureOptions {
    std::vector<std::int64_t> k{20};         ///< neighbors that vote; the first one is the headline
    std::vector<double> temperatures{0.1};   ///< of the votes; likewise
    bool linear = true;                      ///< fit the linear probe
    std::int64_t probe_rows = 0;             ///< rows of the bank that it learns from at most, of each class the same share; 0: all
    std::vector<double> label_shares{1};     ///< parts of the bank that the linear probe learns from, each in (0, 1]
    std::uint64_t seed = 1;                  ///< of those parts, and of what the probe holds out
    bool strict_k = false;                   ///< k above the bank is an error; else such a k is left out
};

/// The accuracy that a protocol reached.
struct Score {
    std::string key{};       ///< in metrics.jsonl and evaluation.json: "knn_top1" without "_top1"
    std::string protocol{};  ///< in words: "k-NN, k = 20, T = 0.1"; of a training with its options after a colon
    eval::Accuracy accuracy{};

    std::string name() const { return protocol.substr(0, protocol.find(": ")); }
};

/// Everything that was measured of one set of features.
struct Measures {
    std::vector<Score> scores{};
    train::Metrics figures{};                     ///< by the names of metrics.jsonl
    std::optional<eval::KnnResult> knn{};         ///< the headline's
    std::optional<eval::Neighbors> nearest{};     ///< also without labels
    std::optional<eval::LogisticProbe> probe{};   ///< of the largest share
    std::optional<eval::Spectrum> spectrum{};
    std::vector<Failure> failures{};              ///< what could not be measured; the rest is there

    /// Runs a part; what it throws becomes a failure.
    void attempt(const std::string& what, const std::function<void()>& part) {
        try {
            part();
        } catch (...) { failures.push_back({what, train::error_text()}); }
    }
    void add(Score score) {
        figures[score.key + "_top1"] = score.accuracy.top1;
        figures[score.key + "_top5"] = score.accuracy.top5;
        scores.push_back(std::move(score));
    }
};

namespace detail {

inline void measure_knn(Measures& found, const Compared& rows, std::int64_t classes, const MeasureOptions& o) {
    const auto bank = rows.bank.rows.size(0);
    std::vector<std::int64_t> ks;
    for (const auto k : o.k) {
        require(!o.strict_k || k <= bank, "--k ", k, " is more than the ", bank, " labeled images to compare with");
        if (ks.empty() || k <= bank) ks.push_back(std::min(k, bank));
    }
    const auto &queries = rows.queries, &known = rows.bank;
    if (!known.labels.defined() || !queries.labels.defined()) {
        found.nearest = eval::nearest(queries.rows, known.rows, {.k = ks.front()});
        return;
    }
    const auto k = ks.front();
    const double temperature = o.temperatures.front();
    std::sort(ks.begin(), ks.end());
    const auto most = eval::nearest(queries.rows, known.rows, {.k = ks.back()});  // one search for every k
    const auto score = [&](std::string key, std::int64_t voters, double t) {
        auto result = eval::vote(most.first(voters), known.labels, queries.labels, classes, {.k = voters, .temperature = t});
        found.add({std::move(key), fmt::format("k-NN, k = {}, T = {}", voters, t), result.accuracy});
        return result;
    };
    found.knn = score("knn", k, temperature);
    found.nearest = found.knn->neighbors;
    for (const auto other : ks)
        for (const double t : o.temperatures)
            if (auto key = fmt::format("knn_k{}_t{}", other, t); (other != k || t != temperature) && !found.figures.contains(key + "_top1"))
                score(std::move(key), other, t);
}

inline void measure_linear(Measures& found, const Compared& rows, std::int64_t classes, const MeasureOptions& o) {
    for (const double share : o.label_shares) {
        const std::int64_t count = rows.bank.labels.size(0);
        const bool capped = o.probe_rows > 0 && static_cast<double>(count) * share > static_cast<double>(o.probe_rows);
        const bool all = share >= 1 && !capped;
        const double taken = capped ? static_cast<double>(o.probe_rows) / static_cast<double>(count) : share;
        const auto part = all ? Tensor{} : eval::few_labels(rows.bank.labels, taken, o.seed);
        const auto chosen = [&](const Tensor& of) { return all ? of : of.index_select(0, part.to(of.device())); };
        auto probe = eval::fit_logistic(chosen(rows.bank.rows), chosen(rows.bank.labels), classes, {.seed = o.seed});
        found.add({share >= 1 ? "linear" : fmt::format("linear_{}", share),
                   fmt::format("linear probe{}", all ? "" : capped ? fmt::format(", {} of {} labels", part.size(0), count) : fmt::format(", {:g} % of the labels", 100 * share)),
                   eval::accuracy_of(probe.scores(rows.queries.rows), rows.queries.labels)});
        if (share >= 1) found.probe = std::move(probe);
    }
}

}  // namespace detail

/// Measures features. A part that fails is listed in `failures`, and the others are there. Without labels only what needs
/// none is measured. `classes` is the number of classes of the bank.
inline Measures measure(const Compared& rows, std::int64_t classes, const MeasureOptions& options = {}) {
    Measures found;
    const Tensor& features = rows.queries.rows;
    found.attempt("k-NN", [&] { detail::measure_knn(found, rows, classes, options); });
    if (options.linear && rows.bank.labels.defined() && rows.queries.labels.defined())
        found.attempt("linear probe", [&] { detail::measure_linear(found, rows, classes, options); });
    if (features.size(0) < 2) return found;
    found.attempt("feature_std", [&] { found.figures["feature_std"] = eval::feature_std(features).item<double>(); });
    found.attempt("spectrum", [&] {
        found.spectrum = eval::spectrum_of(features);
        found.figures["effective_rank"] = found.spectrum->effective_rank;
        found.figures["spectrum_decay"] = found.spectrum->decay;
    });
    found.attempt("uniformity", [&] { found.figures["uniformity"] = eval::uniformity(features); });
    return found;
}

}  // namespace doppel::run
