// SPDX-License-Identifier: Apache-2.0
// Views of the batched operations beside those of the CPU's engine.
#pragma once

#include <doppel/augment/pipeline.hpp>
#include <doppel/batched/resident.hpp>
#include <doppel/batched/views.hpp>
#include <doppel/data/loader.hpp>

#include "support/torch_support.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace doppel::test {

/// Images as float32 [B, C, H, W] of one size.
inline Tensor tensor_of(const std::vector<Image>& images) {
    Tensor all = at::empty({static_cast<std::int64_t>(images.size()), images[0].channels, images[0].height, images[0].width}, at::kByte);
    for (std::size_t i = 0; i < images.size(); ++i)
        image::to_planes(images[i], {all.mutable_data_ptr<std::uint8_t>() + i * images[0].pixels.size(), images[0].width,
                                     images[0].height, images[0].channels});
    return all.to(at::kFloat);
}

/// How far 8-bit views are from others.
struct Apart {
    double levels = 0;             ///< the largest difference
    std::int64_t differ = 0, of = 0;  ///< pixels' values

    void add(const Tensor& a, const Tensor& b) {
        const Tensor difference = (a.to(at::kInt) - b.to(at::kInt)).abs();
        levels = std::max(levels, difference.max().to(at::kDouble).item<double>());
        differ += difference.ne(0).sum().item<std::int64_t>();
        of += difference.numel();
    }
    double share() const { return static_cast<double>(differ) / static_cast<double>(of); }
};

/// The views of some steps, made by batched operations of resident images or of crops, and by the engine.
inline Apart apart(const data::Dataset& images, const std::vector<augment::Pipeline>& pipelines, bool resident,
                   data::LoaderOptions options = {.batch_size = 8, .seed = 1}, std::int64_t steps = 3) {
    const data::Loader reference(images, pipelines, options);
    Tensor all;
    options.make = data::Make::crops;
    if (resident) {
        const auto set = batched::resident(images, pipelines[0].channels(), 100, options.damage.get());
        REQUIRE(set.images.defined());
        all = set.images;
        options.make = data::Make::draws;
        options.width = static_cast<int>(all.size(3)), options.height = static_cast<int>(all.size(2));
    }
    const data::Loader loader(images, pipelines, options);
    batched::Views views(pipelines, at::kCPU, all);
    auto wanted = reference.pass(0, steps), drawn = loader.pass(0, steps);
    Apart result;
    for (std::int64_t s = 0; s < steps; ++s) {
        const Batch one = wanted->next().value(), other = views(drawn->next().value());
        REQUIRE(at::equal(one.index, other.index));
        for (std::size_t v = 0; v < one.views.size(); ++v) {
            REQUIRE(one.views[v].sizes() == other.views[v].sizes());
            result.add(one.views[v], other.views[v]);
        }
    }
    return result;
}

}  // namespace doppel::test
