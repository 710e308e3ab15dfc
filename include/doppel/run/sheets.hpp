// SPDX-License-Identifier: Apache-2.0
// The views of some training images, for the report.
#pragma once

#include <doppel/core/random.hpp>
#include <doppel/eval/report.hpp>
#include <doppel/run/context.hpp>
#include <doppel/run/feature_sections.hpp>
#include <doppel/run/view_groups.hpp>

#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace doppel::run {

/// Some training images with what each pipeline made of them in the first epochs: a sheet for each pipeline.
inline std::vector<eval::ContactSheet> view_sheets(const Context& run) {
    const auto& images = run.data.train;
    const auto classes = images.classes();
    std::vector<std::int64_t> whole;
    for (std::int64_t i = 0; i < images.size(); ++i)
        if (!run.skipped->train || !run.skipped->train->contains(i)) whole.push_back(i);
    const Tensor index = at::tensor(whole, at::kLong);
    const auto& views = run.preset.views;
    const auto rows = examples_of(images, index, 6);
    std::vector<eval::ContactSheet> sheets;
    for (const auto& [first, last] : view_groups(views)) {
        auto title = view_title(first, last, static_cast<std::size_t>(views.globals), views.pipelines.size());
        title.front() = static_cast<char>(std::tolower(title.front()));
        eval::ContactSheet sheet{.title = "What the network saw: " + title,
                                 .note = "Left: an image. Right: what the pipeline made of it in the first epochs, new in each epoch: " +
                                         views.pipelines[first].describe()};
        for (const std::int64_t row_of_image : rows) {
            const auto i = whole[static_cast<std::size_t>(row_of_image)];
            const Image image = images.image(i);
            eval::ContactSheet::Row row{.source = {image, class_name(classes, images.label(i))}, .views = {}};
            for (std::uint64_t epoch = 0; row.views.size() < 6; ++epoch)
                for (std::size_t v = first; v <= last && row.views.size() < 8; ++v)
                    row.views.push_back({views.pipelines[v].render(
                                             image, random::Stream({.seed = static_cast<std::uint64_t>(run.options.train.seed),
                                                                    .epoch = epoch,
                                                                    .index = static_cast<std::uint64_t>(i),
                                                                    .view = v})),
                                         last > first ? fmt::format("epoch {}, view {}", epoch + 1, v + 1)
                                                      : fmt::format("epoch {}", epoch + 1)});
            sheet.rows.push_back(std::move(row));
        }
        sheets.push_back(std::move(sheet));
    }
    return sheets;
}

}  // namespace doppel::run
