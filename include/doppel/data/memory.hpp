// SPDX-License-Identifier: Apache-2.0
// A data set in memory.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/image/image.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace doppel::data {

/// A data set of given images. Without labels every image is `unlabeled`.
/// Throws Error if the numbers of labels and images differ, or a label is neither an index into `classes` nor
/// `unlabeled`.
///
///     data::Dataset dots = data::Memory(images, {0, 1, 0}, {"light", "dark"});
class Memory {
public:
    explicit Memory(std::vector<Image> images, std::vector<std::int64_t> labels = {},
                    std::vector<std::string> classes = {})
        : images_(std::move(images)), labels_(std::move(labels)), classes_(std::move(classes)) {
        if (labels_.empty()) labels_.assign(images_.size(), unlabeled);
        require(labels_.size() == images_.size(), "Memory: ", labels_.size(), " labels for ", images_.size(),
                " images");
        for (const auto label : labels_)
            require(label == unlabeled || (label >= 0 && label < static_cast<std::int64_t>(classes_.size())),
                    "Memory: label ", label, " is not an index into the ", classes_.size(), " classes");
    }

    std::int64_t size() const { return static_cast<std::int64_t>(images_.size()); }
    const Image& image(std::int64_t i) const { return images_.at(static_cast<std::size_t>(i)); }
    std::int64_t label(std::int64_t i) const { return labels_.at(static_cast<std::size_t>(i)); }
    const std::vector<std::string>& classes() const { return classes_; }

private:
    std::vector<Image> images_;
    std::vector<std::int64_t> labels_;
    std::vector<std::string> classes_;
};

static_assert(ImageSource<Memory>);

/// Decodes every image of a data set into memory, width · height · channels bytes per image.
/// Throws what decoding throws.
inline Memory in_memory(const Dataset& dataset) {
    std::vector<Image> images;
    std::vector<std::int64_t> labels;
    images.reserve(static_cast<std::size_t>(dataset.size()));
    labels.reserve(static_cast<std::size_t>(dataset.size()));
    for (std::int64_t i = 0; i < dataset.size(); ++i) {
        images.push_back(dataset.image(i));
        labels.push_back(dataset.label(i));
    }
    return Memory(std::move(images), std::move(labels), dataset.classes());
}

}  // namespace doppel::data
