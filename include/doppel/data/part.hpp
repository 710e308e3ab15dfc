// SPDX-License-Identifier: Apache-2.0
// Decoding the part of an image that its views need.
#pragma once

#include <doppel/image/crop.hpp>
#include <doppel/image/decode.hpp>
#include <doppel/image/image.hpp>
#include <doppel/image/region.hpp>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <type_traits>

namespace doppel::data {

/// What was decoded: the part `at` of a width × height image.
struct DecodedPart {
    image::Rect at{};
    int width = 0, height = 0;

    static DecodedPart whole(const Image& image) { return {{0, 0, image.width, image.height}, image.width, image.height}; }
};

/// A reference to a callable that tells which part of a width × height image is needed. Lives no longer than the callable.
class Needs {
public:
    template <class Callable>
        requires(!std::is_same_v<Callable, Needs> && std::is_invocable_r_v<image::Rect, const Callable&, int, int>)
    Needs(const Callable& callable)  // NOLINT: implicit by intent
        : self_(&callable), call_([](const void* self, int width, int height) -> image::Rect {
              return (*static_cast<const Callable*>(self))(width, height);
          }) {}

    image::Rect operator()(int width, int height) const { return call_(self_, width, height); }

private:
    const void* self_;
    image::Rect (*call_)(const void*, int, int);
};

/// Decodes what is needed of an encoded image into `into`, whose memory is used again. Throws as image::decode_region does.
inline DecodedPart decode_needed(std::span<const std::uint8_t> bytes, std::string_view name, const Needs& needs, Image& into,
                          image::RegionOptions options = {}) {
    if (const auto shape = image::shape_of(bytes)) {
        const auto part = needs(shape->width, shape->height);
        if (part.width < shape->width || part.height < shape->height) {
            image::decode_region(bytes, name, part, into, options);
            return {part, shape->width, shape->height};
        }
    }
    image::decode_into(bytes, name, into);
    return DecodedPart::whole(into);
}

/// The same for a file. Throws UnreadableImage, with the path, if it cannot be read.
inline DecodedPart read_needed(const std::filesystem::path& path, const Needs& needs, Image& into) {
    return decode_needed(image::read_bytes(path), path.string(), needs, into);
}

}  // namespace doppel::data
