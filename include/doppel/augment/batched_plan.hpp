// SPDX-License-Identifier: Apache-2.0
// A pipeline whose parameters are drawn here, and whose operations a device carries out for a whole batch at once.
#pragma once

#include <doppel/augment/color_jitter.hpp>
#include <doppel/augment/gaussian_blur.hpp>
#include <doppel/augment/grayscale.hpp>
#include <doppel/augment/horizontal_flip.hpp>
#include <doppel/augment/operation.hpp>
#include <doppel/augment/pipeline.hpp>
#include <doppel/augment/random_resized_crop.hpp>
#include <doppel/augment/solarize.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/random.hpp>
#include <doppel/image/blur.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace doppel::augment {

/// How the adjustments of a color jitter fit one program for all images of a batch, whatever the order that each image
/// draws: brightness, contrast and saturation are blends, `slots` of them one after the other; hue comes once, after the
/// first `before` of them. An image leaves the slots that it does not need unchanged.
struct JitterSlots {
    std::size_t before = 0, slots = 0;
    bool hue = false;

    JitterSlots(const ColorJitter& jitter, int channels) : hue(jitter.hue > 0 && channels == 3) {
        before = std::size_t{jitter.brightness > 0} + std::size_t{jitter.contrast > 0} + std::size_t{jitter.saturation > 0 && channels == 3};
        slots = hue ? 2 * before : before;
    }
    /// A slot has the factor, and how much of the pixel's luma and of the image's mean luma is blended with; a hue has the
    /// turn in 1/255, and whether there is one.
    static constexpr std::size_t columns_per_slot = 3, hue_columns = 2;
    std::size_t columns() const { return slots * columns_per_slot + (hue ? hue_columns : 0); }
    std::size_t hue_column() const { return slots * columns_per_slot; }
};

/// The operations of a pipeline, and where each one's parameters stand in the row of numbers that draw() writes for a view:
/// what Pipeline draws from the same stream.
/// Throws Error for an operation that only the CPU carries out, and for a pipeline without exactly one random resized crop.
///
///     augment::BatchedPlan plan(view);
///     plan.draw(random::Stream({.seed = 1, .index = 7}), 32, 32, row);  // row: plan.columns() numbers
class BatchedPlan {
public:
    using Operation = std::variant<RandomResizedCrop, HorizontalFlip, ColorJitter, Grayscale, GaussianBlur, Solarize>;
    struct Step {
        Operation operation;
        std::size_t column;  ///< of its first parameter
    };

    explicit BatchedPlan(const Pipeline& pipeline) : size_(pipeline.size()), channels_(pipeline.channels()) {
        std::vector<AnyOperation> head;
        for (const AnyOperation& operation : pipeline.operations()) {
            add(operation, pipeline, static_cast<Operation*>(nullptr));
            if (steps_.size() <= crop_ + 1) head.push_back(operation);
            if (operation.is<RandomResizedCrop>()) {
                require(crop_ == none, "--augment device: a pipeline must have one random resized crop, got ", pipeline.describe(),
                        "; use --augment cpu");
                crop_ = steps_.size() - 1;
            }
        }
        require(crop_ != none, "--augment device: a pipeline must have a random resized crop, got ", pipeline.describe(),
                "; use --augment cpu");
        const int made = std::get<RandomResizedCrop>(steps_[crop_].operation).size;
        require(made == size_, "--augment device: a pipeline of size ", size_, " must crop to that size, got ", made);
        head_ = Pipeline({.size = size_, .operations = std::move(head), .normalize = pipeline.normalize(), .channels = channels_});
    }

    const std::vector<Step>& steps() const { return steps_; }
    std::size_t crop() const { return crop_; }        ///< the step that is the crop
    std::size_t columns() const { return columns_; }  ///< numbers of a row
    int size() const { return size_; }
    int channels() const { return channels_; }
    /// The pipeline up to its crop: what the CPU does where the device does not hold the images.
    const Pipeline& head() const { return head_; }

    /// Draws the parameters of a view of a width × height image.
    void draw(random::Stream draw, int width, int height, std::span<double> row) const {
        require(row.size() == columns_, "BatchedPlan: a row has ", columns_, " numbers, got space for ", row.size());
        for (const Step& step : steps_)
            std::visit([&](const auto& operation) { write(operation, draw, width, height, row.data() + step.column); }, step.operation);
    }

    /// What views must have in common to be made in one batch: everything but probabilities and what is drawn.
    std::string kind() const {
        std::ostringstream text;
        text << size_ << ' ' << channels_;
        for (const Step& step : steps_) {
            text << ' ' << step.operation.index();
            if (const auto* crop = std::get_if<RandomResizedCrop>(&step.operation)) text << name_of(crop->filter);
            if (const auto* blur = std::get_if<GaussianBlur>(&step.operation)) text << name_of(blur->kind) << blur->sigma.high;
            if (const auto* jitter = std::get_if<ColorJitter>(&step.operation)) {
                const JitterSlots slots(*jitter, channels_);
                text << slots.slots << slots.hue;
            }
        }
        return text.str();
    }

private:
    static constexpr std::size_t none = static_cast<std::size_t>(-2);

    template <class... Known>
    void add(const AnyOperation& operation, const Pipeline& pipeline, std::variant<Known...>*) {
        const bool known = ((operation.is<Known>() && (steps_.push_back({*operation.as<Known>(), columns_}), true)) || ...);
        require(known, "--augment device: the operation '", operation.describe(), "' runs on the CPU only (in ", pipeline.describe(),
                "); use --augment cpu, or leave the operation out");
        columns_ += std::visit([&](const auto& one) { return columns_of(one); }, steps_.back().operation);
    }

    std::size_t columns_of(const RandomResizedCrop&) const { return 4; }
    std::size_t columns_of(const HorizontalFlip&) const { return 1; }
    std::size_t columns_of(const ColorJitter& jitter) const { return JitterSlots(jitter, channels_).columns(); }
    std::size_t columns_of(const Grayscale&) const { return 1; }
    std::size_t columns_of(const GaussianBlur& blur) const { return blur.kind == image::Blur::boxes ? 3 : 1; }
    std::size_t columns_of(const Solarize&) const { return 1; }

    /// left, width, top, height
    void write(const RandomResizedCrop& crop, random::Stream& draw, int width, int height, double* to) const {
        const auto part = crop.draw(draw, width, height);
        to[0] = part.left, to[1] = part.width, to[2] = part.top, to[3] = part.height;
    }
    void write(const HorizontalFlip& flip, random::Stream& draw, int, int, double* to) const { *to = flip.draw(draw); }
    void write(const Grayscale& gray, random::Stream& draw, int, int, double* to) const { *to = gray.draw(draw); }
    /// The threshold; one that no pixel reaches for none.
    void write(const Solarize& solarize, random::Stream& draw, int, int, double* to) const {
        *to = solarize.draw(draw) ? solarize.threshold : 256;
    }
    /// σ, 0 for none; of a box filter its radius, inner and outer weight.
    void write(const GaussianBlur& blur, random::Stream& draw, int, int, double* to) const {
        const double sigma = blur.draw(draw).value_or(0);
        *to = sigma;
        if (blur.kind != image::Blur::boxes) return;
        const auto box = sigma > 0 ? image::FractionalBox::for_sigma(static_cast<float>(sigma))
                                   : image::FractionalBox{0, 1U << 24, 0};
        to[0] = box.radius, to[1] = box.center, to[2] = box.edge;
    }
    void write(const ColorJitter& jitter, random::Stream& draw, int, int, double* to) const {
        const JitterSlots slots(jitter, channels_);
        for (std::size_t s = 0; s < slots.slots; ++s) to[3 * s] = 1, to[3 * s + 1] = to[3 * s + 2] = 0;
        if (slots.hue) to[slots.hue_column()] = to[slots.hue_column() + 1] = 0;
        const auto drawn = jitter.draw(draw);
        if (!drawn) return;
        std::size_t next = 0;
        const auto blend = [&](const std::optional<double>& factor, double of_luma, double of_mean) {
            if (!factor) return;
            double* const slot = to + 3 * next++;
            slot[0] = static_cast<float>(std::min(*factor, 1e6));
            slot[1] = of_luma, slot[2] = of_mean;
        };
        for (const Jitter part : drawn->order) {
            if (part == Jitter::brightness) blend(drawn->brightness, 0, 0);
            if (part == Jitter::contrast) blend(drawn->contrast, 0, 1);
            if (part == Jitter::saturation && channels_ == 3) blend(drawn->saturation, 1, 0);
            if (part == Jitter::hue && slots.hue && drawn->hue) {
                to[slots.hue_column()] = static_cast<int>(*drawn->hue * 255);
                to[slots.hue_column() + 1] = 1;
                next = slots.before;
            }
        }
    }

    int size_, channels_;
    std::vector<Step> steps_;
    std::size_t crop_ = none, columns_ = 0;
    Pipeline head_;
};

}  // namespace doppel::augment
