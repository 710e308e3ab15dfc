// SPDX-License-Identifier: Apache-2.0
// The report's pictures: views, nearest neighbors, attention.
#pragma once

#include <doppel/core/random.hpp>
#include <doppel/eval/attention.hpp>
#include <doppel/eval/attention_pictures.hpp>
#include <doppel/eval/features.hpp>
#include <doppel/eval/knn.hpp>
#include <doppel/eval/report.hpp>
#include <doppel/image/channels.hpp>
#include <doppel/image/resize.hpp>
#include <doppel/run/context.hpp>

#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace doppel::run {

namespace detail {

/// Rows of up to `count` images, of as many classes as there are.
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

inline std::string label_of(const data::Dataset& images, std::int64_t i) {
    const auto label = images.label(i);
    const auto classes = images.classes();
    return label == data::unlabeled || label >= static_cast<std::int64_t>(classes.size())
               ? ""
               : classes[static_cast<std::size_t>(label)];
}

}  // namespace detail

/// Some training images with the views of them that the first epochs used.
inline eval::ContactSheet view_sheet(const Context& run) {
    const auto& images = run.data.train;
    eval::ContactSheet sheet{.title = "What the network saw",
                             .note = "Left: an image. Right: the views of it that the first epochs used, new ones each epoch.",
                             .rows = {}};
    std::vector<std::int64_t> whole;
    for (std::int64_t i = 0; i < images.size(); ++i)
        if (!run.skipped->train || !run.skipped->train->contains(i)) whole.push_back(i);
    const Tensor index = at::tensor(whole, at::kLong);
    for (const std::int64_t row_of_image : detail::examples_of(images, index, 6)) {
        const auto i = whole[static_cast<std::size_t>(row_of_image)];
        const Image image = images.image(i);
        eval::ContactSheet::Row row{.source = {image, detail::label_of(images, i)}, .views = {}};
        for (std::uint64_t epoch = 0; epoch < 3; ++epoch)
            for (std::size_t v = 0; v < run.preset.views.pipelines.size(); ++v)
                row.views.push_back({run.preset.views.pipelines[v].render(
                                         image, random::Stream({.seed = static_cast<std::uint64_t>(run.options.train.seed),
                                                                .epoch = epoch,
                                                                .index = static_cast<std::uint64_t>(i),
                                                                .view = v})),
                                     fmt::format("epoch {}", epoch + 1)});
        sheet.rows.push_back(std::move(row));
    }
    return sheet;
}

/// Some validation images with their nearest neighbors in the bank.
inline eval::NeighborSheet neighbor_sheet(const Context& run, const eval::Features& bank, const eval::Features& queries,
                                          const eval::Neighbors& nearest) {
    const auto &known = run.bank(), &validation = run.data.validation;
    eval::NeighborSheet sheet{.title = "Nearest neighbors",
                              .note = std::string("Left: a validation image. Right: the ") +
                                      (run.data.bank.empty() ? "training images" : "labeled images") +
                                      " that the encoder finds most alike, with the cosine of their features.",
                              .rows = {}};
    const Tensor indices = nearest.indices.cpu(), similarities = nearest.similarities.cpu();
    for (const std::int64_t q : detail::examples_of(validation, queries.index, 10)) {
        const auto i = queries.index[q].item<std::int64_t>();
        eval::NeighborSheet::Row row{.query = {validation.image(i), detail::label_of(validation, i)}, .nearest = {}};
        for (std::int64_t j = 0; j < std::min<std::int64_t>(6, indices.size(1)); ++j) {
            const auto n = bank.index[indices[q][j].item<std::int64_t>()].item<std::int64_t>();
            row.nearest.push_back(
                {.image = known.image(n),
                 .label = detail::label_of(known, n),
                 .similarity = similarities[q][j].item<double>(),
                 .right = run.labeled ? std::optional(known.label(n) == validation.label(i)) : std::nullopt});
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

/// Nothing for an encoder that is no Vision Transformer.
inline std::optional<AttentionSheet> attention_sheet(const Context& run, const AnyMethod& method, const eval::Features& queries) {
    if (!eval::has_attention(*method.encoder(run.preset.export_encoder))) return std::nullopt;
    const auto& validation = run.data.validation;
    std::vector<std::int64_t> which;
    for (const auto row : detail::examples_of(validation, queries.index, 8))
        which.push_back(queries.index[row].item<std::int64_t>());
    const Tensor maps = eval::attention(*method.encoder(run.preset.export_encoder), validation, run.pipeline(), which);
    AttentionSheet made{.sheet = {.title = "Where the network looks",
                                  .note = "Left: a validation image. Right: how much attention the class token of the last "
                                          "block pays to each patch (brighter: more): the mean of all heads, then each head.",
                                  .rows = {}}};
    for (std::size_t i = 0; i < which.size(); ++i) {
        const Tensor map = maps[static_cast<std::int64_t>(i)];  // [heads, rows, columns]
        Image seen = run.pipeline().render(validation.image(which[i]), random::Stream({}));
        if (const int times = 96 / seen.width; times > 1)  // small images by a whole factor, for the map's sake
            seen = image::resize(seen, seen.width * times, seen.height * times);
        std::vector<Image> pictures{image::with_channels(image::shown(seen), 3), eval::attention_picture(seen, map.mean(0))};
        eval::ContactSheet::Row row{.source = {seen, detail::label_of(validation, which[i])}, .views = {{pictures[1], "mean"}}};
        for (std::int64_t h = 0; h < map.size(0); ++h) {
            pictures.push_back(eval::attention_picture(seen, map[h]));
            row.views.push_back({pictures.back(), fmt::format("head {}", h + 1)});
        }
        made.pictures.push_back(std::move(pictures));
        made.sheet.rows.push_back(std::move(row));
    }
    return made;
}

}  // namespace doppel::run
