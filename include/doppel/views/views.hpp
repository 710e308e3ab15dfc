// SPDX-License-Identifier: Apache-2.0
// The views of a method: augmentation pipelines for training, and one without augmentation for evaluation.
#pragma once

#include <doppel/augment/operations.hpp>
#include <doppel/augment/pipeline.hpp>
#include <doppel/core/error.hpp>
#include <doppel/options/crops.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace doppel::views {

using augment::Normalize;
using augment::Range;
using options::CropOptions;

/// What a method sees of an image.
///
///     preset.views.insert_after<augment::ColorJitter>(Cutout{.side = 8});   // in every pipeline that has a jitter
struct Views {
    Views() = default;
    /// Global views by these pipelines; the evaluation pipeline has the first one's size, channels and normalization.
    Views(std::vector<augment::Pipeline> given, std::string called = "custom");  // NOLINT: implicit by intent
    Views(std::initializer_list<augment::Pipeline> given) : Views(std::vector(given)) {}

    std::vector<augment::Pipeline> pipelines{};  ///< views 0 … V − 1; those of one size together, global ones first
    augment::Pipeline eval{};                    ///< not augmented: short side resized, center crop
    int globals = 0;                             ///< how many pipelines, from the front, are global (seen by a target branch)
    std::string name{};                          ///< "simclr"

    /// Inserts `operation` after each operation of type T. Throws Error when no pipeline has one.
    template <class T, class Operation>
    Views& insert_after(Operation operation) {
        const auto any = any_operation(std::move(operation));
        return edit<T>([&](const augment::Pipeline& p) { return p.template insert_after<T>(any); });
    }
    /// Inserts `operation` before each operation of type T. Throws Error when no pipeline has one.
    template <class T, class Operation>
    Views& insert_before(Operation operation) {
        const auto any = any_operation(std::move(operation));
        return edit<T>([&](const augment::Pipeline& p) { return p.template insert_before<T>(any); });
    }
    /// Puts `operation` in the place of each operation of type T. Throws Error when no pipeline has one.
    template <class T, class Operation>
    Views& replace(Operation operation) {
        const auto any = any_operation(std::move(operation));
        return edit<T>([&](const augment::Pipeline& p) { return p.template replace<T>(any); });
    }
    /// Removes each operation of type T. Throws Error when no pipeline has one.
    template <class T>
    Views& remove() {
        return edit<T>([](const augment::Pipeline& p) { return p.template remove<T>(); });
    }

    /// Normalizes every view, and the evaluation view, by `by`.
    Views& normalize(const Normalize& by) {
        for (augment::Pipeline& pipeline : pipelines) pipeline = pipeline.with_normalize(by);
        eval = eval.with_normalize(by);
        return *this;
    }

private:
    template <class Operation>
    static augment::AnyOperation any_operation(Operation operation) {
        constexpr bool right = std::same_as<Operation, augment::AnyOperation> || augment::Operation<Operation>;
        static_assert(right, "an augmentation operation must be callable as operation(Image&, random::Stream&) const, and copyable");
        if constexpr (right)
            return operation;
        else
            return [](Image&, random::Stream&) {};
    }

    template <class T, class Edit>
    Views& edit(Edit&& with) {
        bool found = false;
        for (augment::Pipeline& pipeline : pipelines)
            if (pipeline.template has<T>()) {
                pipeline = with(pipeline);
                found = true;
            }
        require(found, "views '", name, "': no pipeline has the operation that is to be changed; the first one is ",
                pipelines.empty() ? "none" : pipelines.front().describe());
        return *this;
    }
};

enum class Stage { crop, flip, jitter, gray, blur, solarize };

/// A pipeline as the papers describe theirs; a probability of 0 leaves a stage out.
struct PipelineSpec {
    /// Side of the view in pixels.
    int size = 224;
    /// Area and aspect ratio of the crop.
    Range scale{0.08, 1}, ratio{3 / 4., 4 / 3.};
    image::Filter filter = image::Filter::bilinear;
    augment::HorizontalFlip flip{.p = 0.5};
    augment::ColorJitter jitter{};
    augment::Grayscale gray{.p = 0.2};
    augment::GaussianBlur blur{.p = 0.5};
    augment::Solarize solarize{.p = 0};
    /// The order of the stages; those that do not stand here are left out.
    std::vector<Stage> order{Stage::crop, Stage::flip, Stage::jitter, Stage::gray, Stage::blur, Stage::solarize};
    Normalize normalize = augment::imagenet_normalize;
    int channels = 3;
};

/// Returns the mean and deviation of so many channels: the given ones if they are as many, or for one channel the
/// first of them, else 0.5 and 0.25 for each. The
/// papers have those of RGB; images of bands have their own (Views::normalize).
inline Normalize normalize_for(int channels, const Normalize& given) {
    if (channels == 1 || given.channels() == channels) return given;
    Normalize by{.mean = {}, .std = {}};
    for (std::size_t c = 0; c < static_cast<std::size_t>(std::min(channels, augment::most_channels)); ++c) by.mean[c] = 0.5, by.std[c] = 0.25;
    return by;
}

/// The pipeline that a specification describes.
inline augment::Pipeline pipeline(const PipelineSpec& spec) {
    std::vector<augment::AnyOperation> operations;
    const auto add = [&](const auto& operation) {
        operation.check();
        if (operation.p > 0) operations.emplace_back(operation);
    };
    for (const Stage stage : spec.order) switch (stage) {
        case Stage::crop:
            operations.emplace_back(augment::RandomResizedCrop{
                .size = spec.size, .scale = spec.scale, .ratio = spec.ratio, .filter = spec.filter});
            break;
        case Stage::flip: add(spec.flip); break;
        case Stage::jitter: add(spec.jitter); break;
        case Stage::gray: add(spec.gray); break;
        case Stage::blur: add(spec.blur); break;
        case Stage::solarize: add(spec.solarize); break;
    }
    return augment::Pipeline({.size = spec.size,
                              .operations = std::move(operations),
                              .normalize = normalize_for(spec.channels, spec.normalize),
                              .channels = spec.channels});
}

/// The evaluation pipeline: short side to size · 256/224 (below 64 px: to size), center crop.
inline augment::Pipeline eval_pipeline(const PipelineSpec& spec) {
    const int shorter = spec.size < 64 ? spec.size : static_cast<int>(std::lround(spec.size * 256 / 224.0));
    return augment::Pipeline({.size = spec.size,
                          .operations = {augment::Resize{.size = shorter, .filter = spec.filter},
                                         augment::CenterCrop{.size = spec.size}},
                          .normalize = normalize_for(spec.channels, spec.normalize),
                          .channels = spec.channels});
}

/// Global pipelines first, then local ones; the evaluation pipeline has the first global one's size, filter and normalization.
inline Views make_views(std::string name, const std::vector<PipelineSpec>& globals,
                        const std::vector<PipelineSpec>& locals = {}) {
    require(!globals.empty(), name, ": needs at least one global view");
    Views result;
    result.eval = eval_pipeline(globals.front());
    result.globals = static_cast<int>(globals.size());
    result.name = std::move(name);
    for (const PipelineSpec& spec : globals) result.pipelines.push_back(pipeline(spec));
    for (const PipelineSpec& spec : locals) result.pipelines.push_back(pipeline(spec));
    return result;
}

/// What all papers share, in the form for large or for small images: below 64 px bilinear, no blur and CIFAR-10's mean and
/// deviation, as in the authors' CIFAR-10 code; else `filter`, blur with p 0.5 and ImageNet's.
inline PipelineSpec paper_spec(const CropOptions& o, image::Filter filter) {
    require(o.min_scale > 0 && o.min_scale <= 1, "views: min_scale must be above 0 and at most 1, got ", o.min_scale);
    return {.size = o.size,
            .scale = {o.min_scale, 1},
            .filter = o.small() ? image::Filter::bilinear : filter,
            .blur = {.p = o.small() ? 0 : 0.5, .kind = o.pillow_blur ? image::Blur::boxes : image::Blur::gaussian},
            .normalize = o.small() ? augment::cifar10_normalize : augment::imagenet_normalize,
            .channels = o.channels};
}

inline Views::Views(std::vector<augment::Pipeline> given, std::string called)
    : pipelines(std::move(given)), globals(static_cast<int>(pipelines.size())), name(std::move(called)) {
    require(!pipelines.empty(), "views: needs at least one pipeline");
    const auto& first = pipelines.front();
    eval = eval_pipeline({.size = first.size(), .normalize = first.normalize(), .channels = first.channels()});
}

}  // namespace doppel::views
