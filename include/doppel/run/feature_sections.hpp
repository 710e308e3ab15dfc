// SPDX-License-Identifier: Apache-2.0
// Sections of a report about features: maps, confusion matrix, spectrum, nearest neighbors, attention.
#pragma once

#include <doppel/core/precision.hpp>
#include <doppel/core/random.hpp>
#include <doppel/encoders/module.hpp>
#include <doppel/eval/accuracy.hpp>
#include <doppel/eval/attention.hpp>
#include <doppel/eval/attention_pictures.hpp>
#include <doppel/eval/feature_pictures.hpp>
#include <doppel/eval/features.hpp>
#include <doppel/eval/knn.hpp>
#include <doppel/eval/pca.hpp>
#include <doppel/eval/report.hpp>
#include <doppel/eval/spectrum.hpp>
#include <doppel/eval/tsne.hpp>
#include <doppel/image/channels.hpp>
#include <doppel/image/resize.hpp>
#include <doppel/run/feature_file.hpp>
#include <doppel/run/measures.hpp>
#include <doppel/run/options.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace doppel::run {

/// Returns rows of up to `count` images, of as many classes as there are. `index` holds the images' numbers, as
/// eval::Features::index does.
inline std::vector<std::int64_t> examples_of(const data::Dataset& images, const Tensor& index, std::size_t count) {
    std::vector<std::int64_t> chosen;
    std::set<std::int64_t> seen;
    const auto* numbers = index.const_data_ptr<std::int64_t>();
    for (std::int64_t row = 0; row < index.size(0) && chosen.size() < count; ++row)
        if (seen.insert(images.label(numbers[row])).second) chosen.push_back(row);
    for (std::int64_t row = 0; row < index.size(0) && chosen.size() < count; ++row)
        if (std::find(chosen.begin(), chosen.end(), row) == chosen.end()) chosen.push_back(row);
    return chosen;
}

/// Returns maps of up to `count` images by their features, by principal components and by t-SNE, with a thumbnail of each.
inline std::vector<eval::FeatureMap> feature_maps(const eval::Features& features, const data::Dataset& images, std::int64_t count = 800) {
    const std::int64_t all = features.rows.size(0), used = std::min(all, count);
    if (used < 4) return {};
    const Tensor which = (at::arange(used, at::kLong) * all).div(used, "floor").to(at::kLong);  // spread over the data set
    const Tensor rows = features.rows.cpu().index_select(0, which), numbers = features.index.index_select(0, which);
    eval::FeatureMap map{.note = fmt::format("{} validation images; near each other: alike to the encoder.", used), .classes = images.classes()};
    for (const auto i : detail::numbers_of(numbers)) {
        Image thumbnail = image::with_channels(image::shown(images.image(i)), 3);
        const double scale = 48.0 / std::max({thumbnail.width, thumbnail.height, 48});
        thumbnail = image::resize(thumbnail, std::max(1, static_cast<int>(thumbnail.width * scale)), std::max(1, static_cast<int>(thumbnail.height * scale)));
        const auto name = class_name(map.classes, images.label(i)), file = images.path(i).filename().string();
        map.points.push_back({.label = name.empty() ? -1 : images.label(i),
                              .thumbnail = std::move(thumbnail),
                              .caption = file.empty() ? name.empty() ? image_name(images, i) : name : name.empty() ? file : name + ", " + file});
    }
    const auto placed = [&](std::string title, std::string note, const Tensor& places) {
        auto made = map;
        made.title = std::move(title);
        made.note += ' ' + note;
        const Tensor at = places.to(at::kDouble).cpu().contiguous();
        for (std::size_t i = 0; i < made.points.size(); ++i) {
            made.points[i].x = at.const_data_ptr<double>()[2 * i];
            made.points[i].y = at.const_data_ptr<double>()[2 * i + 1];
        }
        return made;
    };
    const auto pca = eval::fit_pca(rows, 2);
    const double share = pca.total_variance > 0 ? pca.variances.sum().item<double>() / pca.total_variance : 0;
    return {placed("t-SNE", "Distances between groups mean little.", eval::tsne(rows, {.seed = 1})),
            placed("PCA", fmt::format("The two directions hold {:.0f} % of the variance.", 100 * share), pca.project(rows))};
}

/// Returns all scores with their intervals.
inline eval::Table score_table(const std::vector<Score>& scores, const std::vector<Score>& baselines = {}) {
    eval::Table table{.title = "All scores",
                      .note = "Accuracy on the validation images with its 95 % interval; by class: the mean of the classes' accuracies.",
                      .columns = {"protocol", "top-1", "95 % interval", "top-5", "by class"}};
    for (const auto* list : {&scores, &baselines})
        for (const auto& score : *list) {
            const auto& a = score.accuracy;
            table.rows.push_back({score.protocol, fmt::format("{:.2f} %", 100 * a.top1),
                                  fmt::format("{:.1f} to {:.1f} %", 100 * a.interval.low, 100 * a.interval.high), fmt::format("{:.2f} %", 100 * a.top5),
                                  fmt::format("{:.2f} %", 100 * a.mean_per_class)});
        }
    return table;
}

/// What the figures without labels mean, for the report's table.
inline std::vector<eval::Figure> figure_rows(const train::Metrics& figures, std::int64_t dim) {
    std::vector<eval::Figure> list;
    const auto add = [&](const char* key, int digits, std::string text) {
        if (const auto found = figures.find(key); found != figures.end()) list.push_back({key, fmt::format("{:.{}f}", found->second, digits), std::move(text)});
    };
    add("feature_std", 4, fmt::format("spread of the unit-norm features: about {:.3f} is healthy, 0 is collapse", 1 / std::sqrt(static_cast<double>(dim))));
    add("effective_rank", 1, fmt::format("how many of the {} feature directions are in use (RankMe)", dim));
    add("spectrum_decay", 2, "exponent α by which the variances of the principal components fall; near 1 generalizes best in the paper's tests (α-ReQ)");
    add("uniformity", 3, "log of the mean Gaussian potential between features: −4 is even over the sphere, 0 is collapse");
    add("alignment", 3, "mean squared distance of two views of an image: 0 if they are the same, 2 if they have nothing in common");
    add("cka", 3, "linear CKA with the other encoder (--against), debiased: 1 if both see the images alike, 0 if they have nothing in common");
    add("lidar", 1, "effective rank of what separates images from the views of one image (LiDAR)");
    return list;
}

/// Returns which classes were taken for which.
inline eval::ConfusionMatrix confusion_of(std::string title, const eval::Accuracy& accuracy, std::vector<std::string> classes) {
    const Tensor counts = accuracy.confusion.contiguous();
    const auto* first = counts.const_data_ptr<std::int64_t>();
    return {.title = std::move(title), .note = "Rows: true class. Columns: predicted class.", .classes = std::move(classes),
            .counts = {first, first + counts.numel()}};
}

/// Returns the variances of the features along their principal components, as a line on logarithmic axes.
inline eval::Curve spectrum_curve(const eval::Spectrum& spectrum) {
    eval::Curve curve{.name = "Spectrum of the features", .x_label = "principal component", .y_label = "share of the variance", .series = {{}},
                      .log_x = true, .log_y = true};
    double sum = 0;
    for (const double variance : spectrum.variances) sum += variance;
    for (std::size_t i = 0; i < spectrum.variances.size(); ++i)
        if (sum > 0 && spectrum.variances[i] > 1e-9 * sum) curve.series[0].points.emplace_back(static_cast<double>(i + 1), spectrum.variances[i] / sum);
    return curve;
}

/// Returns some validation images with their nearest neighbors among the images of `known`.
inline eval::NeighborSheet neighbor_sheet(const data::Dataset& known, const data::Dataset& validation, bool labeled, const eval::Features& bank,
                                          const eval::Features& queries, const eval::Neighbors& nearest, const std::string& known_name) {
    eval::NeighborSheet sheet{.title = "Nearest neighbors",
                              .note = "Left: a validation image. Right: the " + known_name +
                                      " that the encoder finds most alike, with the cosine of their features."};
    const auto known_classes = known.classes(), classes = validation.classes();
    const Tensor indices = nearest.indices.cpu(), similarities = nearest.similarities.cpu();
    for (const std::int64_t q : examples_of(validation, queries.index, 10)) {
        const auto i = queries.index[q].item<std::int64_t>();
        eval::NeighborSheet::Row row{.query = {validation.image(i), class_name(classes, validation.label(i))}};
        for (std::int64_t j = 0; j < std::min<std::int64_t>(6, indices.size(1)); ++j) {
            const auto n = bank.index[indices[q][j].item<std::int64_t>()].item<std::int64_t>();
            row.nearest.push_back({.image = known.image(n),
                                   .label = class_name(known_classes, known.label(n)),
                                   .similarity = similarities[q][j].item<double>(),
                                   .right = labeled ? std::optional(known.label(n) == validation.label(i)) : std::nullopt});
        }
        sheet.rows.push_back(std::move(row));
    }
    return sheet;
}

/// Attention maps of some validation images: for the report, and as rows of pictures for image::sheet().
struct AttentionSheet {
    eval::ContactSheet sheet{};
    std::vector<std::vector<Image>> pictures{};
};

/// Returns nothing for an encoder that is no Vision Transformer.
inline std::optional<AttentionSheet> attention_sheet(torch::nn::Module& encoder, const data::Dataset& validation, const augment::Pipeline& pipeline,
                                                     const eval::Features& queries) {
    if (!eval::has_attention(encoder)) return std::nullopt;
    std::vector<std::int64_t> which;
    for (const auto row : examples_of(validation, queries.index, 8)) which.push_back(queries.index[row].item<std::int64_t>());
    const Tensor maps = eval::attention(encoder, validation, pipeline, which);
    const auto classes = validation.classes();
    AttentionSheet made{.sheet = {.title = "Where the network looks",
                                  .note = "Left: a validation image. Right: how much attention the class token of the last "
                                          "block pays to each patch (brighter: more): the mean of all heads, then each head."}};
    for (std::size_t i = 0; i < which.size(); ++i) {
        const Tensor map = maps[static_cast<std::int64_t>(i)];  // [heads, rows, columns]
        Image seen = pipeline.render(validation.image(which[i]), random::Stream({}));
        if (const int times = 96 / seen.width; times > 1)  // small images by a whole factor, for the map's sake
            seen = image::resize(seen, seen.width * times, seen.height * times);
        std::vector<Image> pictures{image::with_channels(image::shown(seen), 3), eval::attention_picture(seen, map.mean(0))};
        eval::ContactSheet::Row row{.source = {seen, class_name(classes, validation.label(which[i]))}, .views = {{pictures[1], "mean"}}};
        for (std::int64_t h = 0; h < map.size(0); ++h) {
            pictures.push_back(eval::attention_picture(seen, map[h]));
            row.views.push_back({pictures.back(), fmt::format("head {}", h + 1)});
        }
        made.pictures.push_back(std::move(pictures));
        made.sheet.rows.push_back(std::move(row));
    }
    return made;
}

/// Returns pictures of the patch features of some validation images, of which a color means the same in each; nothing for an
/// encoder that is none of ours, and for maps of fewer than 3 × 3 patches.
inline std::optional<eval::ContactSheet> patch_sheet(torch::nn::Module& encoder, const data::Dataset& validation, const augment::Pipeline& pipeline,
                                                     const eval::Features& queries) {
    auto* shipped = dynamic_cast<encoders::Module*>(&encoder);
    if (!shipped) return std::nullopt;
    std::vector<std::int64_t> which;
    for (const auto row : examples_of(validation, queries.index, 8)) which.push_back(queries.index[row].item<std::int64_t>());
    const Tensor views = at::empty({static_cast<std::int64_t>(which.size()), pipeline.channels(), pipeline.size(), pipeline.size()});
    for (std::size_t i = 0; i < which.size(); ++i)
        pipeline(validation.image(which[i]), random::Stream({}), std::span<float>(views.mutable_data_ptr<float>() + i * pipeline.values(), pipeline.values()));
    const at::NoGradGuard no_grad;
    const eval::EvaluationMode scope(encoder);
    const at::Device device = encoder.parameters().front().device();
    const Autocast float32(device.type(), Precision::fp32);
    const Tensor patches = shipped->with_patches(views.to(device), {}).patches;  // [n, P, F]
    const auto side = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(patches.size(1)))));
    if (side < 3 || side * side != patches.size(1)) return std::nullopt;
    const int size = std::max(96, pipeline.size());
    const auto pictures = eval::feature_pictures(patches.unflatten(1, {side, side}), size, size);
    eval::ContactSheet sheet{.title = "What patches have in common",
                             .note = fmt::format("Under each validation image the features of its {0} x {0} patches: their first three principal components "
                                                 "({1:.0f} % of the variance) as red, green and blue, the same in all pictures.", side, 100 * pictures.share)};
    const auto classes = validation.classes();
    for (std::size_t i = 0; i < which.size(); ++i)
        sheet.rows.push_back({.source = {pipeline.render(validation.image(which[i]), random::Stream({})), class_name(classes, validation.label(which[i]))},
                              .views = {{pictures.images[i], "patches"}}});
    return sheet;
}

}  // namespace doppel::run
