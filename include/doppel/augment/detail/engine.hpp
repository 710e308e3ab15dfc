// SPDX-License-Identifier: Apache-2.0
// Runs the operations of a pipeline on planes: the same bits as one operation after the other, several times faster.
#pragma once

#include <doppel/augment/center_crop.hpp>
#include <doppel/augment/color_jitter.hpp>
#include <doppel/augment/detail/told.hpp>
#include <doppel/augment/gaussian_blur.hpp>
#include <doppel/augment/grayscale.hpp>
#include <doppel/augment/horizontal_flip.hpp>
#include <doppel/augment/operation.hpp>
#include <doppel/augment/random_resized_crop.hpp>
#include <doppel/augment/resize.hpp>
#include <doppel/augment/solarize.hpp>
#include <doppel/augment/source.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/random.hpp>
#include <doppel/image/channels.hpp>
#include <doppel/image/planar_blur.hpp>
#include <doppel/image/planar_color.hpp>
#include <doppel/image/planar_resize.hpp>
#include <doppel/image/crop.hpp>
#include <doppel/image/image.hpp>
#include <doppel/image/planes.hpp>
#include <doppel/image/simd.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace doppel::augment::detail {

/// A thread's memory for making views, reused from view to view.
struct Scratch {
    image::ResizeBuffers resize;
    image::BlurBuffers blur;
    std::vector<std::uint8_t> planes;  // a view that is not of the final size
    std::vector<std::uint8_t> view;    // a view that is still to be normalized
    Image image, converted;            // a view for a custom operation; a source with other channels
};

inline Scratch& scratch() {
    static thread_local Scratch mine;
    return mine;
}

/// The operations that work on planes, and all others.
using Stage = std::variant<AnyOperation, HorizontalFlip, ColorJitter, Grayscale, GaussianBlur, Solarize, RandomResizedCrop,
                           Resize, CenterCrop>;

/// What the stages after a crop drew, up to the next one that does not work on planes.
using Parameters = std::variant<bool, std::optional<JitterParameters>, std::optional<double>>;

template <class... Known>
Stage stage_of(const AnyOperation& operation, std::variant<AnyOperation, Known...>*) {
    Stage stage = operation;
    (void)((operation.is<Known>() && (stage = *operation.as<Known>(), true)) || ...);
    return stage;
}

/// One run of a pipeline over one image.
class Run {
public:
    Run(const std::vector<Stage>& stages, int size, int channels, std::uint8_t* out, image::Simd level, Told* told)
        : stages_(stages), size_(size), channels_(channels), out_(out), level_(level), told_(told) {}

    /// Makes the view. Returns its planes, which are in `out` if they have the final size.
    image::Planes operator()(const Source& source, random::Stream& draw) {
        std::size_t next = begin(source, draw);
        while (next < stages_.size()) {
            if (on_planes(stages_[next]))
                next = change(next, draw);
            else if (std::holds_alternative<RandomResizedCrop>(stages_[next]))
                next = crop(next, as_image(), draw);
            else
                custom(next++, draw);
        }
        return view_;
    }

private:
    template <class Drawn>
    void tell(std::size_t stage, const Drawn& drawn) const {
        if (told_) std::visit([&](const auto& operation) { told_->add(operation, drawn); }, stages_[stage]);
    }

    static bool on_planes(const Stage& stage) { return stage.index() >= 1 && stage.index() <= 5; }

    /// Points to planes of that size: `out`, or memory of the thread.
    image::Planes planes(int width, int height) {
        if (width == size_ && height == size_) return {out_, width, height, channels_};
        image::Planes view{nullptr, width, height, channels_};
        auto& room = scratch().planes;
        if (view_.data == room.data() || room.size() < view.size()) room.resize(std::max(room.size(), view.size()));
        view.data = room.data();
        return view;
    }

    /// Makes planes of the source by the first stages. Returns the number of stages done.
    std::size_t begin(const Source& source, random::Stream& draw) {
        if (!stages_.empty())
            if (std::holds_alternative<RandomResizedCrop>(stages_[0])) return crop(0, source, draw);
        require(source.whole(), "Pipeline: got a part of an image, but does not begin with a random crop: ", stages_.size(),
                " operations");
        if (stages_.size() >= 2 && std::holds_alternative<Resize>(stages_[0]) && std::holds_alternative<CenterCrop>(stages_[1]))
            if (resize_center(*source.pixels, std::get<Resize>(stages_[0]), std::get<CenterCrop>(stages_[1]))) return 2;
        const Image& image = converted(*source.pixels);
        if (stages_.empty() || on_planes(stages_[0])) {
            view_ = planes(image.width, image.height);
            image::to_planes(image, view_);
            return 0;
        }
        const Image own = &image == source.pixels ? Image() : std::exchange(scratch().converted, {});  // as in custom()
        const Image& given = &image == source.pixels ? image : own;
        const Image made = std::visit(
            [&](const auto& operation) {
                if constexpr (requires { operation.made_from(given, draw); })
                    return operation.made_from(given, draw);
                else
                    return Image();
            },
            stages_[0]);
        tell(0, std::monostate());
        take(made);
        return 1;
    }

    const Image& converted(const Image& image) const {
        if (image.channels == channels_) return image;
        return scratch().converted = image::with_channels(image, channels_);
    }

    /// Resizes a random part to planes, and applies the stages after it that work on planes. Returns the stage after those. A
    /// gray source of a color pipeline is resized as gray.
    std::size_t crop(std::size_t at, const Source& source, random::Stream& draw) {
        const auto& crop = std::get<RandomResizedCrop>(stages_[at]);
        const auto part = crop.draw(draw, source.width, source.height);
        tell(at, part);
        const bool spread = source.pixels->channels == 1 && channels_ == 3;
        const Image& image = spread ? *source.pixels : converted(*source.pixels);
        const image::Rect inside{part.left - source.at.left, part.top - source.at.top, part.width, part.height};
        view_ = planes(crop.size, crop.size);
        const std::size_t after = plan(at + 1, draw);
        auto target = view_;
        if (spread) target.channels = 1;
        image::resize_to_planes(image, inside, crop.filter, {crop.size, crop.size, 0, 0}, flips(), target, scratch().resize,
                                level_);
        if (spread)
            for (int c = 1; c < 3; ++c) std::copy_n(view_.data, view_.area(), view_.plane(c));
        apply(true);
        return after;
    }

    bool resize_center(const Image& source, const Resize& resize, const CenterCrop& crop) {
        const auto [width, height] = resize.result_of(source);
        if (width < crop.size || height < crop.size) return false;  // padded
        const Image& image = converted(source);
        view_ = planes(crop.size, crop.size);
        image::resize_to_planes(image, {0, 0, image.width, image.height}, resize.filter,
                                {width, height, image::centered(width - crop.size), image::centered(height - crop.size)}, false,
                                view_, scratch().resize, level_);
        tell(0, std::monostate());
        tell(1, std::monostate());
        return true;
    }

    /// Draws the parameters of stages [first, …) that work on planes. Returns the stage after them.
    std::size_t plan(std::size_t first, random::Stream& draw) {
        planned_ = first;
        count_ = 0;
        std::size_t next = first;
        for (; next < stages_.size() && on_planes(stages_[next]) && count_ < parameters_.size(); ++next)
            parameters_[count_++] = std::visit(
                [&](const auto& operation) -> Parameters {
                    if constexpr (requires { operation.draw(draw); }) {
                        Parameters drawn = operation.draw(draw);
                        tell(next, drawn);
                        return drawn;
                    } else {
                        return false;
                    }
                },
                stages_[next]);
        return next;
    }

    /// Whether the planned stages mirror the view. They commute with a mirror, so that the crop can do it.
    bool flips() const {
        bool flipped = false;
        for (std::size_t i = 0; i < count_; ++i)
            if (std::holds_alternative<HorizontalFlip>(stages_[planned_ + i])) flipped ^= std::get<bool>(parameters_[i]);
        return flipped;
    }

    std::size_t change(std::size_t first, random::Stream& draw) {
        const std::size_t after = plan(first, draw);
        apply(false);
        return after;
    }

    /// Applies the planned stages, without the flips if the crop did them.
    void apply(bool flipped) {
        for (std::size_t i = 0; i < count_; ++i) {
            const auto& stage = stages_[planned_ + i];
            if (std::holds_alternative<HorizontalFlip>(stage)) {
                if (!flipped && std::get<bool>(parameters_[i])) mirror();
            } else if (std::holds_alternative<ColorJitter>(stage)) {
                jitter(std::get<std::optional<JitterParameters>>(parameters_[i]));
            } else if (std::holds_alternative<Grayscale>(stage)) {
                if (std::get<bool>(parameters_[i])) image::grayscale(view_, level_);
            } else if (const auto* blur = std::get_if<GaussianBlur>(&stage)) {
                if (const auto sigma = std::get<std::optional<double>>(parameters_[i]))
                    image::gaussian_blur(view_, *sigma, blur->kind, scratch().blur, level_);
            } else if (const auto* solarize = std::get_if<Solarize>(&stage)) {
                if (std::get<bool>(parameters_[i])) image::solarize(view_, solarize->threshold, level_);
            }
        }
    }

    void jitter(const std::optional<JitterParameters>& drawn) const {
        if (!drawn) return;
        for (const Jitter part : drawn->order) {
            if (part == Jitter::brightness && drawn->brightness) image::brightness(view_, *drawn->brightness, level_);
            if (part == Jitter::contrast && drawn->contrast) image::contrast(view_, *drawn->contrast, level_);
            if (part == Jitter::saturation && drawn->saturation) image::saturation(view_, *drawn->saturation, level_);
            if (part == Jitter::hue && drawn->hue) image::hue(view_, *drawn->hue, level_);
        }
    }

    void mirror() const {
        for (int c = 0; c < view_.channels; ++c)
            for (int y = 0; y < view_.height; ++y) std::reverse(view_.row(c, y), view_.row(c, y) + view_.width);
    }

    const Image& as_image() const {
        image::to_image(view_, scratch().image);
        return scratch().image;
    }

    /// Applies an operation that works on images.
    void custom(std::size_t at, random::Stream& draw) {
        Image image = std::exchange(scratch().image, {});  // the operation may run a pipeline of its own
        image::to_image(view_, image);
        std::visit([&](const auto& operation) { operation(image, draw); }, stages_[at]);
        tell(at, std::monostate());
        take(image);
        scratch().image = std::move(image);
    }

    void take(const Image& image) {
        require(image.channels == channels_ && image.width > 0 && image.height > 0, "Pipeline: an operation made an image of ",
                image.width, "x", image.height, "x", image.channels, ", expected ", channels_, " channels");
        view_ = planes(image.width, image.height);
        image::to_planes(image, view_);
    }

    const std::vector<Stage>& stages_;
    int size_, channels_;
    std::uint8_t* out_;
    image::Simd level_;
    Told* told_;
    image::Planes view_{};
    std::size_t planned_ = 0, count_ = 0;
    std::array<Parameters, 16> parameters_{};
};

}  // namespace doppel::augment::detail
