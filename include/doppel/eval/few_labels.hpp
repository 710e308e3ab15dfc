// SPDX-License-Identifier: Apache-2.0
// Evaluation with few labels: a stratified part of labeled rows.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/fraction.hpp>

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace doppel::eval {

/// Returns the rows of a fraction of the labels, ascending: of each class that fraction, rounded to whole rows, but at least
/// one. Unlabeled rows are left out. The choice is that of data::stratified among labeled images: a function of labels and
/// seed, and a smaller fraction is a part of a larger one. Papers report 1 % and 10 % of ImageNet's labels.
/// Shapes: labels [N] int64; result [m] int64 on their device.
/// Throws Error for other shapes or types, if no row has a label, and for a fraction that is not above 0 and at most 1.
///
///     const Tensor tenth = eval::few_labels(train.labels, 0.1, 1);
///     auto probe = eval::fit_logistic(train.rows.index_select(0, tenth), train.labels.index_select(0, tenth), classes);
inline Tensor few_labels(const Tensor& labels, double fraction, std::uint64_t seed) {
    require(labels.defined() && labels.dim() == 1 && labels.scalar_type() == at::kLong,
            "few_labels: labels must be [N] int64, got ", labels.defined() ? labels.sizes() : at::IntArrayRef{});
    const Tensor all = labels.cpu().contiguous();
    std::vector<std::int64_t> known, rows;
    for (std::int64_t i = 0; i < all.size(0); ++i)
        if (const std::int64_t label = all.const_data_ptr<std::int64_t>()[i]; label != data::unlabeled) {
            known.push_back(label);
            rows.push_back(i);
        }
    require(!known.empty(), "few_labels: none of the ", all.size(0), " rows has a label");
    const auto places = data::stratified_places(known, fraction, seed);
    const Tensor chosen = at::empty({static_cast<std::int64_t>(places.size())}, at::kLong);
    std::transform(places.begin(), places.end(), chosen.mutable_data_ptr<std::int64_t>(),
                   [&](std::int64_t place) { return rows[static_cast<std::size_t>(place)]; });
    return chosen.to(labels.device());
}

}  // namespace doppel::eval
