// SPDX-License-Identifier: Apache-2.0
// What the targets of the image formats share.
#pragma once

#include <doppel/image/crop.hpp>
#include <doppel/image/decode.hpp>
#include <doppel/image/decode16.hpp>
#include <doppel/image/region.hpp>

#include "fuzz.hpp"

#include <cstdint>
#include <numeric>
#include <string>

namespace doppel::fuzz {

/// True for sizes that decode() allows but that make a run slow; larger ones must be refused, which is quick.
inline bool slow(std::size_t width, std::size_t height) {
    return width * height > (std::size_t{1} << 16) &&
           width * height <= static_cast<std::size_t>(image::detail::most_pixels);
}

inline std::size_t big_endian(Bytes bytes, std::size_t at, std::size_t count) {
    std::size_t value = 0;
    for (std::size_t i = 0; i < count; ++i) value = value << 8 | bytes[at + i];
    return value;
}

inline std::size_t little_endian(Bytes bytes, std::size_t at, std::size_t count) {
    std::size_t value = 0;
    while (count-- > 0) value = value << 8 | bytes[at + count];
    return value;
}

/// The same of an image with bands and a window.
inline void decodes_samples(Bytes bytes) {
    reads("decode: the input: ", [&] {
        try {
            const image::SampleOptions options{.window = image::SampleWindow{1000, 3000}, .bands = true};
            const Image image = image::decode_samples(bytes, "the input", options);
            expect(image.width > 0 && image.height > 0 && image.channels > 0 && image.channels <= 16, "an image of no size");
            expect(image.pixels.size() == static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) *
                                              static_cast<std::size_t>(image.channels),
                   "an image whose size is not that of its pixels");
            expect(image::decode_samples(bytes, "again", options) == image, "another image the second time");
        } catch (const Error& problem) {
            if (!dynamic_cast<const DamagedImage*>(&problem)) finding("an Error, but no DamagedImage", problem.what());
            throw;
        }
    });
}

/// A region of the image, another one for other bytes.
inline image::Rect some_part(Bytes bytes, const Shape& all) {
    const auto seed = std::accumulate(bytes.begin(), bytes.end(), std::uint64_t{bytes.size()});
    const auto below = [&](std::uint64_t step, int n) { return static_cast<int>(seed * step / 7 % static_cast<std::uint64_t>(n)); };
    image::Rect part{.width = 1 + below(31, all.width), .height = 1 + below(17, all.height)};
    part.left = below(13, all.width - part.width + 1), part.top = below(29, all.height - part.height + 1);
    return part;
}

/// decode() keeps the contract: the same image each time, or the Error that loaders may step over. A region has the pixels
/// of the whole image, and the same error.
inline void decodes(Bytes bytes) {
    const auto shape = image::shape_of(bytes);
    reads("decode: the input: ", [&] {
        try {
            const Image image = image::decode(bytes, "the input");
            expect(image::looks_like_image(bytes), "an image that does not look like one");
            expect_whole(image);
            expect(image::decode(bytes, "again") == image, "another image the second time");
            expect(!shape || *shape == image.shape(), "another size than the header's");
            const auto part = some_part(bytes, image.shape());
            Image region;
            image::decode_region(bytes, "again", part, region);
            expect(region == image::crop(image, part), "a region with other pixels");
            image::decode_region(bytes, "again", part, region, {.trusted = true});
            expect(region == image::crop(image, part), "a region of a trusted file with other pixels");
        } catch (const Error& problem) {
            if (!dynamic_cast<const DamagedImage*>(&problem)) finding("an Error, but no DamagedImage", problem.what());
            if (shape) {
                Image region;
                std::string same;
                try {
                    image::decode_region(bytes, "the input", some_part(bytes, *shape), region);
                } catch (const DamagedImage& other) { same = other.what(); }
                expect(same == problem.what(), "a region that is damaged otherwise than the whole image");
            }
            throw;
        }
    });
}

}  // namespace doppel::fuzz
