// SPDX-License-Identifier: Apache-2.0
// Features of several augmented views of each image.
#pragma once

#include <doppel/augment/pipeline.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/normalized.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/loader.hpp>
#include <doppel/eval/features.hpp>

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace doppel::eval {

/// Returns the features of `views` draws of `view` for each image: [N, views, F] float32, in the order of the images, without
/// damaged ones; evaluation mode, no gradient. A pure function of encoder, images and seed.
///
///     Tensor rows = eval::view_features(net, photos, eval::training_view(opened.pipeline), 8, {}, /*seed=*/1);
template <class Encoder>
Tensor view_features(Encoder encoder, const data::Dataset& images, const augment::Pipeline& view, std::int64_t views,
                     const FeatureOptions& options = {}, std::uint64_t seed = 0) {
    require(views >= 1, "view_features: views must be at least 1, got ", views);
    const at::NoGradGuard no_grad;
    const EvaluationMode scope(*encoder);
    const auto parameters = encoder->parameters();
    const at::Device device = parameters.empty() ? at::Device(at::kCPU) : parameters.front().device();
    const Autocast float32(device.type(), Precision::fp32);
    const data::Loader loader(images, std::vector(static_cast<std::size_t>(views), view),
                              {.batch_size = std::max<std::int64_t>(1, options.batch_size / views),
                               .seed = seed,
                               .workers = options.workers,
                               .shuffle = false,
                               .drop_last = false,
                               .pinned = device.is_cuda(),
                               .damage = options.damage});
    auto pass = loader.pass(0, loader.batches());
    std::vector<Tensor> rows;
    for (std::int64_t done = 0; auto batch = pass->next();) {
        const std::int64_t size = batch->index.size(0);
        const Tensor own = batch->index.eq(at::arange(done, done + size, at::kLong)).nonzero().squeeze(1);
        done += size;
        if (own.size(0) == 0) continue;
        std::vector<Tensor> parts;
        for (Tensor& each : batch->views)
            parts.push_back(encoder->forward(normalized(std::exchange(each, Tensor{}).to(device), view.normalize(), at::MemoryFormat::ChannelsLast)).to(at::kFloat));
        rows.push_back(at::stack(parts, 1).index_select(0, own.to(device)));
    }
    require(!rows.empty(), "view_features: none of the ", images.size(), " images can be decoded");
    return at::cat(rows);
}

}  // namespace doppel::eval
