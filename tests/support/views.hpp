// SPDX-License-Identifier: Apache-2.0
// What the tests of pipelines share.
#pragma once

#include <doppel/augment/pipeline.hpp>

#include "reference/augment.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace doppel::test {

/// The random numbers of a view.
inline random::Stream address(std::uint64_t epoch, std::uint64_t index, std::uint64_t view, std::uint64_t seed = 1) {
    return random::Stream({.seed = seed, .epoch = epoch, .index = index, .view = view});
}

/// What the network gets.
inline std::vector<float> look(const augment::Pipeline& view, const Image& image, const random::Stream& draw) {
    std::vector<float> out(view.values());
    view(image, draw, out);
    return out;
}

// The parts of a pipeline's description, for tables of the papers' values.
inline std::string crop(int size, const std::string& scale, const std::string& filter) {
    return "random_resized_crop(size=" + std::to_string(size) + ", scale=[" + scale + "], ratio=[0.75, 1.33333], filter=" + filter + ")";
}
inline std::string jitter(const std::string& b, const std::string& c, const std::string& s, const std::string& h, const std::string& p) {
    return "color_jitter(brightness=" + b + ", contrast=" + c + ", saturation=" + s + ", hue=" + h + ", p=" + p + ")";
}
inline std::string blur(const std::string& p) { return "gaussian_blur(p=" + p + ", sigma=[0.1, 2], kind=gaussian)"; }
inline const std::string flip = "horizontal_flip(p=0.5)", gray = "grayscale(p=0.2)", solarize = "solarize(p=0.2, threshold=128)",
                         imagenet = "normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])",
                         cifar = "normalize(mean=[0.4914, 0.4822, 0.4465], std=[0.2023, 0.1994, 0.201])";

/// A pipeline is these operations in this order.
inline void stands(const augment::Pipeline& pipeline, const std::vector<std::string>& operations) {
    std::string all;
    for (const auto& operation : operations) all += (all.empty() ? "" : " > ") + operation;
    CHECK(pipeline.describe() == all);
}

}  // namespace doppel::test
