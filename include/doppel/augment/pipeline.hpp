// SPDX-License-Identifier: Apache-2.0
// A view pipeline: operations in order, then normalization.
#pragma once

#include <doppel/augment/detail/engine.hpp>
#include <doppel/augment/detail/told.hpp>
#include <doppel/augment/normalize.hpp>
#include <doppel/augment/operation.hpp>
#include <doppel/augment/random_resized_crop.hpp>
#include <doppel/augment/source.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/random.hpp>
#include <doppel/image/channels.hpp>
#include <doppel/image/crop.hpp>
#include <doppel/image/image.hpp>
#include <doppel/image/simd.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace doppel::augment {

struct PipelineOptions {
    /// Side in pixels of the operations' result, ≥ 1.
    int size = 224;
    /// Operations, applied from first to last. Each keeps the number of channels.
    std::vector<AnyOperation> operations{};
    /// Normalization after the operations.
    Normalize normalize = imagenet_normalize;
    /// Channels: 3 (gray becomes three equal channels before the operations), 1 (RGB becomes luma), or the number of bands,
    /// up to 16, that all images have. Saturation, hue and grayscale change nothing unless there are 3.
    int channels = 3;
};

/// Converts an image to a network input, [channels, size, size] floats. A pure function of the image and the stream,
/// callable from several threads at once; cheap to copy.
/// Throws Error for options out of range, and for operations that do not end in size × size pixels.
///
///     augment::Pipeline view({.size = 32, .operations = {augment::RandomResizedCrop{.size = 32}}});
///     view(photo, random::Stream({.seed = 1, .index = 7, .view = 0}), row);  // row: 3 · 32 · 32 floats
class Pipeline {
public:
    Pipeline() = default;
    explicit Pipeline(PipelineOptions options) : state_(std::make_shared<State>(std::move(options))) {}

    /// Returns the side of the result in pixels; 0 for a default-constructed pipeline.
    int size() const { return state_ ? state_->options.size : 0; }
    int channels() const { return state_ ? state_->options.channels : 0; }
    /// Returns the number of floats per result.
    std::size_t values() const {
        const auto side = static_cast<std::size_t>(size());
        return static_cast<std::size_t>(channels()) * side * side;
    }
    Normalize normalize() const { return state().options.normalize; }

    /// Returns the 8-bit image before normalization, made by one operation after the other: the reference for what follows.
    Image render(const Image& source, random::Stream draw) const {
        const auto& [size, operations, normalize, channels] = state().options;
        Image result;
        const bool convert = source.channels != channels;
        if (convert) result = image::with_channels(source, channels);
        if (!convert && operations.empty()) result = source;
        for (std::size_t i = 0; i < operations.size(); ++i)
            if (i == 0 && !convert)
                result = operations[i].made_from(source, draw);
            else
                operations[i](result, draw);
        require_size(result.width, result.height, result.channels);
        return result;
    }

    /// Writes 8-bit planes [channels, size, size] to `out`, which must have exactly that size: the pixels of render(), made
    /// on planes with the vector instructions of `simd`, which the processor must have. Between two calls a thread keeps
    /// its memory; a custom operation works on an Image in the middle.
    void operator()(const Source& source, random::Stream draw, std::span<std::uint8_t> out,
                    image::Simd simd = image::best_simd()) const {
        make(source, draw, out, simd, nullptr);
    }

    /// Writes normalized planes [channels, size, size] to `out`, which must have exactly that size.
    void operator()(const Source& source, random::Stream draw, std::span<float> out) const {
        require_room(out.size());
        auto planes = std::exchange(detail::scratch().view, {});  // a custom operation may run a pipeline of its own
        planes.resize(values());
        make(source, draw, planes, image::best_simd(), nullptr);
        state().table(planes, channels(), out);
        detail::scratch().view = std::move(planes);
    }

    /// Returns the part of a width × height image that the view needs, for the same stream.
    image::Rect needs(int width, int height, random::Stream draw) const {
        if (!operations().empty())
            if (const auto* crop = operations().front().as<RandomResizedCrop>()) return crop->draw(draw, width, height);
        return {0, 0, width, height};
    }

    /// Returns what each operation draws for that view, one line each: "random_resized_crop: 120x98 at (31, 12)".
    std::vector<std::string> drawn(const Source& source, random::Stream draw) const {
        detail::Told told;
        std::vector<std::uint8_t> planes(values());
        make(source, draw, planes, image::best_simd(), &told);
        return std::move(told).lines();
    }

    /// Returns the operations in order.
    const std::vector<AnyOperation>& operations() const { return state().options.operations; }
    /// Returns whether the pipeline has an operation of type T.
    template <class T>
    bool has() const {
        return std::any_of(operations().begin(), operations().end(), [](const auto& o) { return o.template is<T>(); });
    }
    /// Returns the pipeline with `operation` after, before or in place of each operation of type T, or without them.
    template <class T>
    Pipeline insert_after(const AnyOperation& operation) const {
        return edited<T>([&](const AnyOperation& found) { return std::vector{found, operation}; });
    }
    template <class T>
    Pipeline insert_before(const AnyOperation& operation) const {
        return edited<T>([&](const AnyOperation& found) { return std::vector{operation, found}; });
    }
    template <class T>
    Pipeline replace(const AnyOperation& operation) const {
        return edited<T>([&](const AnyOperation&) { return std::vector{operation}; });
    }
    template <class T>
    Pipeline remove() const {
        return edited<T>([](const AnyOperation&) { return std::vector<AnyOperation>{}; });
    }

    /// Returns the pipeline with another normalization.
    Pipeline with_normalize(const Normalize& by) const {
        PipelineOptions changed = state().options;
        changed.normalize = by;
        return Pipeline(std::move(changed));
    }

    /// Returns the operations and their options, for config.json:
    /// "random_resized_crop(size=32, ...) > ... > normalize(...)".
    std::string describe() const {
        std::string text;
        for (const auto& operation : state().options.operations) text += operation.describe() + " > ";
        return text + state().options.normalize.describe();
    }

private:
    template <class T, class Edit>
    Pipeline edited(Edit&& edit) const {
        PipelineOptions changed = state().options;
        changed.operations.clear();
        for (const AnyOperation& operation : operations())
            for (auto& one : operation.template is<T>() ? edit(operation) : std::vector{operation})
                changed.operations.push_back(one);
        return Pipeline(std::move(changed));
    }

    void make(const Source& source, random::Stream& draw, std::span<std::uint8_t> out, image::Simd simd,
              detail::Told* told) const {
        require_room(out.size());
        const auto view = detail::Run(state().stages, size(), channels(), out.data(), simd, told)(source, draw);
        require_size(view.width, view.height, view.channels);
        if (view.data != out.data()) std::copy_n(view.data, out.size(), out.data());
    }
    void require_room(std::size_t room) const {
        require(room == values(), "Pipeline: needs space for ", values(), " values, got ", room);
    }
    void require_size(int width, int height, int planes) const {
        if (width == size() && height == size() && planes == channels()) return;
        fail("Pipeline: the operations must end in a ", size(), "x", size(), "x", channels(), " image, got ", width, "x", height,
             "x", planes, " from ", describe());
    }

    struct State {
        explicit State(PipelineOptions given) : options(std::move(given)), table(options.normalize) {
            detail::require_size("Pipeline", options.size);
            require(options.channels >= 1 && options.channels <= most_channels, "Pipeline: channels must be 1 to ", most_channels,
                    ", got ", options.channels);
            require(options.normalize.channels() >= options.channels, "Pipeline: normalize has mean and std of ",
                    options.normalize.channels(), " channels, expected ", options.channels);
            for (const AnyOperation& operation : options.operations)
                stages.push_back(detail::stage_of(operation, static_cast<detail::Stage*>(nullptr)));
        }
        PipelineOptions options;
        std::vector<detail::Stage> stages;
        NormalizeTable table;
    };
    const State& state() const {
        require(state_ != nullptr, "Pipeline: is empty (default-constructed); construct it from PipelineOptions");
        return *state_;
    }
    std::shared_ptr<const State> state_;
};

}  // namespace doppel::augment
