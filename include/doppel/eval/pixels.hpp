// SPDX-License-Identifier: Apache-2.0
// k-NN on pixels: a baseline for representations.
#pragma once

#include <doppel/eval/features.hpp>
#include <doppel/eval/knn.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace doppel::eval {

struct PixelOptions {
    KnnOptions knn{};                            ///< options of the vote
    int workers = 1;                             ///< decoding threads
    std::int64_t bytes = std::int64_t{1} << 26;  ///< memory for query images; half of that for bank images
    std::shared_ptr<data::DamagedImages> bank_damage{}, query_damage{};  ///< as FeatureOptions::damage
};

/// Runs knn() with the normalized images, flattened to [C·H·W], as features.
///
/// Memory does not grow with the number of images: queries are loaded in portions of `bytes`, and the bank is loaded
/// once for each portion. Throws Error for options of another search: it compares by cosine, and leaves no image out.
///
///     double floor = eval::knn_pixels(train, validation, views.eval).top1;
inline KnnResult knn_pixels(const data::Dataset& bank, const data::Dataset& queries, const augment::Pipeline& eval_view,
                            const PixelOptions& options = {}) {
    const at::NoGradGuard no_grad;
    require(options.knn.metric == Metric::cosine && !options.knn.leave_one_out,
            "knn_pixels: the metric must be cosine, and leave_one_out off; for others, use knn() on flattened images");
    require(options.knn.k >= 1, "knn_pixels: k must be at least 1, got ", options.knn.k);
    const auto image_bytes = static_cast<std::int64_t>(eval_view.values() * sizeof(float));
    const auto portions = [&](const data::Dataset& images, std::int64_t bytes,
                              const std::shared_ptr<data::DamagedImages>& damage, auto&& use) {
        detail::each_batch(images, eval_view,
                           {.batch_size = std::clamp<std::int64_t>(bytes / image_bytes, 1, images.size()),
                            .workers = options.workers,
                            .damage = damage},
                           /*prefetch=*/1, at::kCPU, at::MemoryFormat::Contiguous, [&](Tensor views, const Tensor& labels, const Tensor&) {
                               const Tensor rows = std::move(views).flatten(1);
                               rows.div_(rows.norm(2, 1, true).clamp_min(1e-12));  // in place: the portion is large
                               use(rows, labels);
                           });
    };
    std::vector<Tensor> indices, similarities, query_labels, bank_labels;
    portions(queries, options.bytes, options.query_damage, [&](const Tensor& rows, const Tensor& labels) {
        detail::LargestOfTiles best(options.knn.k);
        const bool first = bank_labels.empty();
        std::int64_t done = 0;
        portions(bank, options.bytes / 2, options.bank_damage, [&](const Tensor& tile, const Tensor& tile_labels) {
            best.add(rows.mm(tile.t()), done);
            done += tile.size(0);
            if (first) bank_labels.push_back(tile_labels);
        });
        const auto found = best.found();
        indices.push_back(found.indices);
        similarities.push_back(found.similarities);
        query_labels.push_back(labels);
    });
    return vote({at::cat(indices), at::cat(similarities)}, at::cat(bank_labels), at::cat(query_labels),
                static_cast<std::int64_t>(bank.classes().size()), options.knn);
}

}  // namespace doppel::eval
