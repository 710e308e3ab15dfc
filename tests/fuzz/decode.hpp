// SPDX-License-Identifier: Apache-2.0
// What the targets of the image formats share.
#pragma once

#include <doppel/image/decode.hpp>

#include "fuzz.hpp"

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

/// decode() keeps the contract: the same image each time, or the Error that loaders may step over.
inline void decodes(Bytes bytes) {
    reads("decode: the input: ", [&] {
        try {
            const Image image = image::decode(bytes, "the input");
            expect(image::looks_like_image(bytes), "an image that does not look like one");
            expect_whole(image);
            expect(image::decode(bytes, "again") == image, "another image the second time");
        } catch (const Error& problem) {
            if (!dynamic_cast<const DamagedImage*>(&problem)) finding("an Error, but no DamagedImage", problem.what());
            throw;
        }
    });
}

}  // namespace doppel::fuzz
