// SPDX-License-Identifier: Apache-2.0
// Judges an encoder on any images: scores, baselines, measures without labels.
#pragma once

#include <doppel/core/seed.hpp>
#include <doppel/eval/lidar.hpp>
#include <doppel/eval/pixels.hpp>
#include <doppel/eval/uniformity.hpp>
#include <doppel/eval/view_features.hpp>
#include <doppel/run/measures.hpp>
#include <doppel/run/options.hpp>
#include <doppel/run/skipped.hpp>
#include <doppel/weights/open.hpp>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace doppel::run {

struct EvaluateOptions {
    MeasureOptions measures{};
    bool baselines = true;           ///< also measure the same network untrained, and raw pixels
    std::int64_t augmented = 256;    ///< validation images whose augmented views alignment and LiDAR look at; 0: neither
    std::int64_t views = 8;          ///< views of each, ≥ 2
};

/// What evaluate() found.
struct Evaluation {
    Compared rows{};             ///< features of the encoder
    Measures measures{};         ///< with alignment and LiDAR among the figures
    std::vector<Score> baselines{};  ///< "knn_random", "linear_random", "knn_pixels"
};

namespace detail {

inline void measure_views(Evaluation& found, weights::OpenedEncoder& encoder, const data::Dataset& images, const eval::FeatureOptions& how,
                          const EvaluateOptions& o) {
    std::vector<std::int64_t> first(static_cast<std::size_t>(std::min(o.augmented, images.size())));
    std::iota(first.begin(), first.end(), 0);
    auto quiet = how;
    quiet.damage = std::make_shared<data::DamagedImages>();  // told where all images were read
    const Tensor rows = eval::view_features(encoder.module, data::Subset{images, first}, eval::crop_and_flip(encoder.pipeline), o.views, quiet,
                                            o.measures.seed);  // [n, v, F]
    found.measures.figures["alignment"] = eval::alignment(rows.select(1, 0), rows.select(1, 1));
    found.measures.figures["lidar"] = eval::lidar(rows.flatten(0, 1), o.views);
}

}  // namespace detail

/// Judges an encoder, which stays as it is, by the training images (or the bank) and validation images of `data`. Parts that
/// fail are listed in the measures' failures. Throws Error without validation images.
///
///     auto opened = weights::open_encoder("runs/photos");
///     auto found = run::evaluate(opened, run::data_from(data::open("photos"), "photos"), {});
///     std::cout << found.measures.figures.at("knn_top1") << '\n';
inline Evaluation evaluate(weights::OpenedEncoder& encoder, const Data& data, eval::FeatureOptions how, const EvaluateOptions& o = {},
                           const std::shared_ptr<Skipped>& skipped = {}) {
    require(!data.validation.empty(), "evaluate: ", data.name, " has no validation images to judge the encoder by");
    const data::Dataset& bank = data.bank.empty() ? data.train : data.bank;
    const auto damage_of = [&](bool queries) {
        return !skipped ? nullptr : queries ? skipped->validation : data.bank.empty() ? skipped->train : skipped->bank;
    };
    const auto classes = static_cast<std::int64_t>(bank.classes().size());
    const auto compare = [&](const std::shared_ptr<encoders::Module>& net) {
        Compared rows;
        how.damage = damage_of(false);
        rows.bank = eval::features(net, bank, encoder.pipeline, how);
        how.damage = damage_of(true);
        rows.queries = eval::features(net, data.validation, encoder.pipeline, how);
        if (!bank.labeled() || !data.validation.labeled()) rows.bank.labels = rows.queries.labels = Tensor{};
        return rows;
    };
    Evaluation found;
    found.rows = compare(encoder.module);
    found.measures = measure(found.rows, classes, o.measures);
    if (o.augmented >= 2 && data.validation.size() >= 2)
        found.measures.attempt("alignment and LiDAR", [&] { detail::measure_views(found, encoder, data.validation, how, o); });
    if (!o.baselines || !found.rows.bank.labels.defined()) return found;
    auto only = o.measures;
    only.k.resize(1);
    only.temperatures.resize(1);
    only.label_shares = {1};
    found.measures.attempt("untrained encoder", [&] {
        const SeedScope seed(o.measures.seed);
        const auto net = encoder.spec.build();
        net->to(encoder.module->parameters().front().device());
        auto untrained = measure(compare(net), classes, only);
        for (auto& score : untrained.scores) {
            score.key += "_random";
            score.protocol += ", untrained encoder";
            found.baselines.push_back(std::move(score));
        }
    });
    found.measures.attempt("raw pixels", [&] {
        auto pixels = eval::knn_pixels(bank, data.validation, encoder.pipeline,
                                       {.knn = {.k = std::min(only.k.front(), bank.size()), .temperature = only.temperatures.front()},
                                        .workers = how.workers,
                                        .bank_damage = damage_of(false),
                                        .query_damage = damage_of(true)});
        found.baselines.push_back({"knn_pixels", fmt::format("k-NN, k = {}, raw pixels", only.k.front()), std::move(pixels.accuracy)});
    });
    return found;
}

}  // namespace doppel::run
