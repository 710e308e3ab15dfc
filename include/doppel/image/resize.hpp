// SPDX-License-Identifier: Apache-2.0
// Resizes 8-bit images, bit for bit as Pillow does.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/image/crop.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace doppel::image {

/// The kernel of a resize: a triangle (support 1 pixel), or Keys' cubic with a = −0.5 (support 2).
enum class Filter { bilinear, bicubic };

inline const char* name_of(Filter filter) { return filter == Filter::bilinear ? "bilinear" : "bicubic"; }

/// A region in pixels, fractions allowed: [left, right) × [top, bottom).
struct Box {
    float left = 0, top = 0, right = 0, bottom = 0;
};

namespace detail {

/// A view of rows of interleaved pixels in an image.
struct Pixels {
    const std::uint8_t* data = nullptr;
    std::ptrdiff_t stride = 0;  // bytes from one row to the next
    int width = 0, height = 0, channels = 0;
};

inline Pixels pixels_of(const Image& source) {
    return {source.pixels.data(), std::ptrdiff_t{source.width} * source.channels, source.width, source.height,
            source.channels};
}

inline Pixels part_of(const Image& source, const Rect& part) {
    Pixels pixels = pixels_of(source);
    pixels.data = source.at(part.left, part.top);
    pixels.width = part.width;
    pixels.height = part.height;
    return pixels;
}

inline double weight(Filter filter, double x) {
    x = std::abs(x);
    if (filter == Filter::bilinear) return x < 1 ? 1 - x : 0;
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

inline constexpr int weight_bits = 22;  // Pillow's: 255 · 2^22 and a cubic's overshoot fit in 32 bits

/// The input positions and weights of each output position along one axis.
struct Taps {
    struct Span {
        int first, count;
    };
    int stride = 0;                     // weights per position
    std::vector<Span> spans;            // [out]
    std::vector<std::int32_t> weights;  // [out, stride], fixed point, sum 2^22 up to rounding
    std::vector<double> exact;          // [stride], while they are computed
};

/// Computes the taps of one axis for the output positions [first_out, first_out + positions) of `out`; reuses the memory
/// of `result`. Shrinking widens the kernel by the scale (antialias); positions outside the image have no weight.
inline void set_taps(Taps& result, Filter filter, int in, float from, float to, int out, int first_out, int positions) {
    const double scale = static_cast<double>(to - from) / out, widening = std::max(scale, 1.0);
    const double support = (filter == Filter::bilinear ? 1.0 : 2.0) * widening, narrowing = 1 / widening;
    result.stride = static_cast<int>(std::ceil(support)) * 2 + 1;
    result.spans.clear();
    result.weights.resize(static_cast<std::size_t>(positions) * static_cast<std::size_t>(result.stride));
    result.exact.resize(static_cast<std::size_t>(result.stride));
    auto& exact = result.exact;
    for (int n = 0; n < positions; ++n) {
        const int position = first_out + n;
        const double center = from + (position + 0.5) * scale;
        const int first = std::max(static_cast<int>(center - support + 0.5), 0);
        const int count = std::min(static_cast<int>(center + support + 0.5), in) - first;
        double sum = 0;
        for (int i = 0; i < count; ++i)
            sum += exact[static_cast<std::size_t>(i)] = weight(filter, (first + i - center + 0.5) * narrowing);
        const double unit = sum != 0 ? 1 / sum : 0;
        std::int32_t* fixed = result.weights.data() + std::ptrdiff_t{n} * result.stride;
        for (int i = 0; i < count; ++i) {
            const double w = exact[static_cast<std::size_t>(i)] * unit * (1 << weight_bits);
            fixed[i] = static_cast<std::int32_t>(w < 0 ? w - 0.5 : w + 0.5);
        }
        result.spans.push_back({first, count});
    }
}
inline Taps taps(Filter filter, int in, float from, float to, int out) {
    Taps result;
    set_taps(result, filter, in, from, to, out, 0, out);
    return result;
}

inline std::uint8_t to_byte(std::int32_t fixed) {
    return static_cast<std::uint8_t>(std::clamp(fixed >> weight_bits, 0, 255));
}

/// Resizes rows [first, first + rows) of `source` along x into `out` [rows, spans, C].
template <std::size_t C>
void resize_rows(const Pixels& source, int first, int rows, const Taps& taps, std::uint8_t* out) {
    const auto each_channel = [&]<std::size_t... c>(std::index_sequence<c...>) {  // unrolled: sums stay in registers
        for (int y = 0; y < rows; ++y) {
            const std::uint8_t* row = source.data + (first + y) * source.stride;
            const std::int32_t* weights = taps.weights.data();
            for (const auto span : taps.spans) {
                const std::uint8_t* in = row + std::ptrdiff_t{span.first} * std::ptrdiff_t{C};
                std::array<std::int32_t, C> sums{((void)c, 1 << (weight_bits - 1))...};
                for (int i = 0; i < span.count; ++i, in += C) ((sums[c] += in[c] * weights[i]), ...);
                ((*out++ = to_byte(sums[c])), ...);
                weights += taps.stride;
            }
        }
    };
    each_channel(std::make_index_sequence<C>{});
}
/// The same for any number of channels.
inline void resize_rows(const Pixels& source, int first, int rows, const Taps& taps, std::uint8_t* out) {
    for (int y = 0; y < rows; ++y) {
        const std::uint8_t* row = source.data + (first + y) * source.stride;
        const std::int32_t* weights = taps.weights.data();
        for (const auto span : taps.spans) {
            const std::uint8_t* in = row + std::ptrdiff_t{span.first} * source.channels;
            for (int c = 0; c < source.channels; ++c) {
                std::int32_t sum = 1 << (weight_bits - 1);
                for (int i = 0; i < span.count; ++i) sum += in[std::ptrdiff_t{i} * source.channels + c] * weights[i];
                *out++ = to_byte(sum);
            }
            weights += taps.stride;
        }
    }
}

/// Resizes along y into `out` [spans, row bytes]; row 0 of `rows` is row `origin` of the image that the taps refer to.
inline void resize_columns(const Pixels& rows, int origin, const Taps& taps, std::uint8_t* out) {
    constexpr int block = 16;  // a constant width, so that the compiler vectorizes
    const int bytes = rows.width * rows.channels;
    const std::int32_t* weights = taps.weights.data();
    for (const auto span : taps.spans) {
        const std::uint8_t* top = rows.data + (span.first - origin) * rows.stride;
        int x = 0;
        for (; x + block <= bytes; x += block, out += block) {
            std::int32_t sums[block];
            for (auto& sum : sums) sum = 1 << (weight_bits - 1);
            for (int i = 0; i < span.count; ++i) {
                const std::uint8_t* in = top + i * rows.stride + x;
                for (int lane = 0; lane < block; ++lane) sums[lane] += in[lane] * weights[i];
            }
            for (int lane = 0; lane < block; ++lane) out[lane] = to_byte(sums[lane]);
        }
        for (; x < bytes; ++x) {
            std::int32_t sum = 1 << (weight_bits - 1);
            for (int i = 0; i < span.count; ++i) sum += top[i * rows.stride + x] * weights[i];
            *out++ = to_byte(sum);
        }
        weights += taps.stride;
    }
}

inline Image resize(const Pixels& source, int width, int height, Filter filter, const Box& box) {
    require(width > 0 && height > 0, "resize: the new size must be at least 1x1, got ", width, "x", height);
    const auto across = taps(filter, source.width, box.left, box.right, width);
    const auto down = taps(filter, source.height, box.top, box.bottom, height);
    const int first = down.spans.front().first, rows = down.spans.back().first + down.spans.back().count - first;
    Image between(width, rows, source.channels);
    if (source.channels == 3)
        resize_rows<3>(source, first, rows, across, between.pixels.data());
    else if (source.channels != 1)
        resize_rows(source, first, rows, across, between.pixels.data());
    else
        resize_rows<1>(source, first, rows, across, between.pixels.data());
    Image result(width, height, source.channels);
    resize_columns(pixels_of(between), first, down, result.pixels.data());
    return result;
}

}  // namespace detail

using detail::weight_bits;  // for resizes of whole batches

/// Resizes the pixels of `box` to width × height as Pillow's Image.resize(size, filter, box) does: first along x, then
/// along y, with 22-bit weights and 8-bit intermediate results; when shrinking, the filter is widened by the scale
/// (antialias). Bit-identical to Pillow before 13, which resizes along y first where the height shrinks much more than
/// the width. The filter may read pixels outside the box.
/// Throws Error for an empty image or size, and for a box that is empty or not inside the image.
///
///     Image small = image::resize(photo, 224, 224, image::Filter::bicubic);
inline Image resize(const Image& source, int width, int height, Filter filter, const Box& box) {
    detail::require_pixels("resize", source);
    require(box.left >= 0 && box.top >= 0 && box.left < box.right && box.top < box.bottom &&
                box.right <= static_cast<float>(source.width) && box.bottom <= static_cast<float>(source.height),
            "resize: the box must lie inside the ", source.width, "x", source.height, " image and not be empty, got [",
            box.left, ", ", box.right, ") x [", box.top, ", ", box.bottom, ")");
    return detail::resize(detail::pixels_of(source), width, height, filter, box);
}

/// Resizes the full image.
inline Image resize(const Image& source, int width, int height, Filter filter = Filter::bilinear) {
    return resize(source, width, height, filter,
                  {0, 0, static_cast<float>(source.width), static_cast<float>(source.height)});
}

/// Resizes `part` of the image, as torchvision's resized_crop does: equal to resizing crop(source, part), without the
/// copy. Reads no pixels outside `part`.
inline Image resized_crop(const Image& source, const Rect& part, int width, int height,
                          Filter filter = Filter::bilinear) {
    detail::require_pixels("resized_crop", source);
    detail::require_inside("resized_crop", source, part);
    return detail::resize(detail::part_of(source, part), width, height, filter,
                          {0, 0, static_cast<float>(part.width), static_cast<float>(part.height)});
}

}  // namespace doppel::image
