// SPDX-License-Identifier: Apache-2.0
// The views of some training images, for the report.
#pragma once

#include <doppel/core/random.hpp>
#include <doppel/eval/report.hpp>
#include <doppel/run/context.hpp>
#include <doppel/run/feature_sections.hpp>

#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace doppel::run {

/// Some training images with the views of them that the first epochs used.
inline eval::ContactSheet view_sheet(const Context& run) {
    const auto& images = run.data.train;
    const auto classes = images.classes();
    eval::ContactSheet sheet{.title = "What the network saw",
                             .note = "Left: an image. Right: the views of it that the first epochs used, new ones each epoch.",
                             .rows = {}};
    std::vector<std::int64_t> whole;
    for (std::int64_t i = 0; i < images.size(); ++i)
        if (!run.skipped->train || !run.skipped->train->contains(i)) whole.push_back(i);
    const Tensor index = at::tensor(whole, at::kLong);
    for (const std::int64_t row_of_image : examples_of(images, index, 6)) {
        const auto i = whole[static_cast<std::size_t>(row_of_image)];
        const Image image = images.image(i);
        eval::ContactSheet::Row row{.source = {image, class_name(classes, images.label(i))}, .views = {}};
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

}  // namespace doppel::run
