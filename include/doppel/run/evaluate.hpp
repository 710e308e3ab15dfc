// SPDX-License-Identifier: Apache-2.0
// Judges an encoder on any images: scores, baselines, measures without labels.
#pragma once

#include <doppel/core/seed.hpp>
#include <doppel/eval/fine_tune.hpp>
#include <doppel/eval/labeled_images.hpp>
#include <doppel/eval/lidar.hpp>
#include <doppel/eval/linear_probe.hpp>
#include <doppel/eval/pixels.hpp>
#include <doppel/eval/uniformity.hpp>
#include <doppel/eval/view_features.hpp>
#include <doppel/run/measures.hpp>
#include <doppel/run/options.hpp>
#include <doppel/run/skipped.hpp>
#include <doppel/weights/open.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace doppel::run {

struct EvaluateOptions {
    MeasureOptions measures{};
    bool baselines = true;           ///< also measure the same network untrained, and raw pixels
    std::int64_t augmented = 256;    ///< validation images whose augmented views alignment and LiDAR look at; 0: neither
    std::int64_t views = 8;          ///< views of each, ≥ 2
    std::optional<eval::LinearProbeOptions> sgd_probe{};  ///< also train the papers' probe, with augmentation
    std::optional<eval::FineTuneOptions> fine_tune{};     ///< also fine-tune a copy, on each of MeasureOptions::label_shares
    std::function<void(const std::string&)> say{};        ///< gets a line about each part that takes long
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
    const Tensor rows = eval::view_features(encoder.module, data::Subset{images, first}, eval::training_view(encoder.pipeline), o.views, quiet,
                                            o.measures.seed);  // [n, v, F]
    found.measures.figures["alignment"] = eval::alignment(rows.select(1, 0), rows.select(1, 1));
    found.measures.figures["lidar"] = eval::lidar(rows.flatten(0, 1), o.views);
}

}  // namespace detail

namespace detail {

/// The protocols that train with augmentation: the probe by SGD on the frozen encoder, and fine-tuning of a copy.
inline void measure_training(Evaluation& found, weights::OpenedEncoder& encoder, const data::Dataset& train, const data::Dataset& validation,
                             const EvaluateOptions& o) {
    const auto forward = [&](const Tensor& x) { return encoder.module->forward(x); };
    const auto say = [&](const std::string& line) {
        if (o.say) o.say(line);
    };
    if (o.sgd_probe)
        found.measures.attempt("linear probe by SGD", [&] {
            auto made = eval::linear_probe(*encoder.module, forward, train, validation, encoder.pipeline, *o.sgd_probe, [&](const auto& epoch) {
                if (epoch.epoch % std::max<std::int64_t>(1, o.sgd_probe->epochs / 10) == 0) say(fmt::format("linear probe by SGD: epoch {} of {}", epoch.epoch, o.sgd_probe->epochs));
            });
            found.measures.add({"linear_sgd", made.protocol, std::move(made.last)});
            found.measures.add({"linear_sgd_best", fmt::format("linear probe by SGD, best epoch ({}), chosen on these images", made.best_epoch), std::move(made.best)});
        });
    if (!o.fine_tune) return;
    for (const double share : o.measures.label_shares)
        found.measures.attempt(fmt::format("fine-tuning, {:g} % of the labels", 100 * share), [&] {
            auto options = *o.fine_tune;
            options.labels = share;
            auto made = eval::fine_tune(*encoder.module, forward, train, validation, encoder.pipeline, options, [&](const auto& epoch) {
                say(fmt::format("fine-tuning, {:g} % of the labels: epoch {} of {}, {:.1f} %", 100 * share, epoch.epoch, options.epochs, 100 * epoch.validation));
            });
            const std::string key = share >= 1 ? "fine_tuned" : fmt::format("fine_tuned_{}", share);
            found.measures.add({key, made.protocol, std::move(made.last)});
            found.measures.add({key + "_best", fmt::format("fine-tuning with {:g} % of the labels, best epoch ({}), chosen on these images", 100 * share, made.best_epoch), std::move(made.best)});
        });
}

/// The options with what the loaders share.
inline EvaluateOptions with_damage(EvaluateOptions o, const std::shared_ptr<data::DamagedImages>& train,
                                   const std::shared_ptr<data::DamagedImages>& validation, int workers) {
    const auto set = [&](auto& options) {
        if (!options) return;
        options->workers = workers;
        options->train_damage = train;
        options->validation_damage = validation;
    };
    set(o.sgd_probe);
    set(o.fine_tune);
    return o;
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
    if (!found.rows.bank.labels.defined()) return found;
    detail::measure_training(found, encoder, bank, data.validation, detail::with_damage(o, damage_of(false), damage_of(true), how.workers));
    if (!o.baselines) return found;
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
