// SPDX-License-Identifier: Apache-2.0
// How images come to a device that makes their views: once, or as the crops of each batch.
#pragma once

#include <doppel/augment/batched_plan.hpp>
#include <doppel/augment/pipeline.hpp>
#include <doppel/batched/resident.hpp>
#include <doppel/batched/views.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/damaged_images.hpp>
#include <doppel/data/loader.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace doppel::batched {

/// Views made on a device. Images of one size that need at most `megabytes` together are copied there once, and a loader only
/// draws; of others, it makes the crops, and the device the rest.
/// Throws Error for operations that only the CPU carries out, before it decodes an image.
///
///     batched::Augmenter augmenter(images, preset.views.pipelines, at::kCUDA, 4096, damaged.get());
///     data::LoaderOptions options;
///     augmenter.set(options);
///     data::Loader loader(images, preset.views.pipelines, options);
///     … augmenter(*pass->next());
class Augmenter {
public:
    Augmenter(const data::Dataset& images, const std::vector<augment::Pipeline>& pipelines, at::Device device, std::int64_t megabytes,
         data::DamagedImages* damage)
        : Augmenter(pipelines, device, set_of(images, pipelines, megabytes, damage)) {}

    /// Sets what the loader makes.
    void set(data::LoaderOptions& options) const {
        options.make = resident_ ? data::Make::draws : data::Make::crops;
        options.width = width_;
        options.height = height_;
    }
    /// Returns the batch with its views.
    Batch operator()(Batch batch) { return views_(std::move(batch)); }
    /// Returns how images come to the device, for people.
    const std::string& text() const { return text_; }

private:
    static Resident set_of(const data::Dataset& images, const std::vector<augment::Pipeline>& pipelines, std::int64_t megabytes,
                           data::DamagedImages* damage) {
        for (const auto& pipeline : pipelines) augment::BatchedPlan{pipeline};
        return resident(images, pipelines.front().channels(), megabytes, damage);
    }

    Augmenter(const std::vector<augment::Pipeline>& pipelines, at::Device device, const Resident& set)
        : resident_(set.images.defined()), views_(pipelines, device, resident_ ? set.images.to(device) : Tensor()) {
        if (resident_) {
            width_ = static_cast<int>(set.images.size(3));
            height_ = static_cast<int>(set.images.size(2));
            text_ = "device; " + std::to_string(set.images.size(0)) + " images of " + std::to_string(width_) + "x" + std::to_string(height_) +
                    " px stay there, " + std::to_string((set.images.numel() + 999'999) / 1'000'000) + " MB";
        } else {
            text_ = "device; crops come from the CPU: " + set.why_not;
        }
    }

    bool resident_;
    Views views_;
    int width_ = 0, height_ = 0;
    std::string text_;
};

}  // namespace doppel::batched
