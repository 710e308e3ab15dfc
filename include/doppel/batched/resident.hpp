// SPDX-License-Identifier: Apache-2.0
// A data set of small images as one tensor, so that a device can hold all of it.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/data/damaged_images.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/loader.hpp>
#include <doppel/image/channels.hpp>
#include <doppel/image/image.hpp>
#include <doppel/image/planes.hpp>

#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>

#include <atomic>
#include <cstdint>
#include <string>

namespace doppel::batched {

/// All images of a data set [N, C, H, W], 8 bits; or why there is no such tensor.
struct Resident {
    Tensor images{};
    std::string why_not{};
};

/// Decodes all images of a data set if they have one size and need at most `megabytes` (10^6 bytes) together. Damaged images are
/// recorded in `damage` and stay black; without it, they throw DamagedImage.
///
///     batched::Resident set = batched::resident(cifar, 3, 4096, damage);
///     batched::Views views(pipelines, device, set.images.to(device));
inline Resident resident(const data::Dataset& dataset, int channels, std::int64_t megabytes, data::DamagedImages* damage) {
    Image first;
    const auto read = [&](std::int64_t i, Image& into) {
        dataset.decode(i, [](int width, int height) { return image::Rect{0, 0, width, height}; }, into);
        data::require_channels(dataset, i, into.channels, channels);
    };
    data::read_next_valid(dataset, 0, damage, first, read);
    const std::int64_t bytes = dataset.size() * channels * first.width * first.height;
    if (bytes > megabytes * 1'000'000)
        return {.why_not = std::to_string(dataset.size()) + " images of " + std::to_string(first.width) + "x" + std::to_string(first.height) +
                           " px need " + std::to_string((bytes + 999'999) / 1'000'000) + " MB, more than " + std::to_string(megabytes) +
                           " (--resident-mb)"};
    Tensor images = at::zeros({dataset.size(), channels, first.height, first.width}, at::kByte);
    std::uint8_t* const to = images.mutable_data_ptr<std::uint8_t>();
    std::atomic<bool> differ = false;
    at::parallel_for(0, dataset.size(), 64, [&](std::int64_t from, std::int64_t until) {
        Image image;
        for (std::int64_t i = from; i < until && !differ; ++i) {
            const auto taken = data::read_next_valid(dataset, i, damage, image, read);
            if (taken != i) continue;
            if (image.channels != channels) image = image::with_channels(image, channels);
            if (image.width != first.width || image.height != first.height) {
                differ = true;
                break;
            }
            image::to_planes(image, {to + i * channels * first.width * first.height, first.width, first.height, channels});
        }
    });
    if (differ) return {.why_not = "the images differ in size"};
    return {.images = images};
}

}  // namespace doppel::batched
