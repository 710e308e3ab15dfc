// SPDX-License-Identifier: Apache-2.0
// Decodes images of 16-bit samples, and images of any number of bands.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/image/decode.hpp>
#include <doppel/image/detail/file.hpp>
#include <doppel/image/formats.hpp>
#include <doppel/image/image.hpp>
#include <doppel/image/image16.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel::image {

namespace detail {

/// Takes samples of two bytes, in the machine's order; the first `channels` of each pixel.
inline Image16 image16_of(const Image& bytes, int channels) {
    Image16 image{bytes.width, bytes.height, channels, {}};
    const auto pixels = static_cast<std::size_t>(bytes.width) * static_cast<std::size_t>(bytes.height);
    const auto count = static_cast<std::size_t>(channels);
    image.samples.resize(pixels * count);
    for (std::size_t i = 0; i < pixels; ++i)
        std::memcpy(&image.samples[i * count], &bytes.pixels[i * static_cast<std::size_t>(bytes.channels)], 2 * count);
    return image;
}

inline void invert(Image16& image) {
    for (auto& sample : image.samples) sample = static_cast<std::uint16_t>(65535 - sample);
}

/// Decodes a file of 16-bit samples; nothing if it is another file. With `bands`, all samples of a TIFF pixel are kept.
/// `note` is that of the decoder.
inline std::optional<Image16> samples16([[maybe_unused]] std::span<const std::uint8_t> bytes, [[maybe_unused]] std::string_view name,
                                        [[maybe_unused]] bool bands, std::string& note) {
    const auto format = format_of(bytes);
    if (!format) return std::nullopt;
    std::optional<Image16> result;
    Image raw;
    guarded(name, raw, [&]([[maybe_unused]] std::string& problem) {
        switch (*format) {
#if DOPPEL_PNG
            case Format::png: {
                PngDecoder decoder(bytes);
                decoder.open(name);
                if (!decoder.has_16_bits()) return;
                decoder.decode(raw, problem, /*wide=*/true);
                result = image16_of(raw, raw.channels / 2);
                return;
            }
#endif
#if DOPPEL_TIFF
            case Format::tiff: {
                TiffDecoder decoder(bytes, name);
                decoder.open();
                if (decoder.bits() != 16 || !decoder.has_plain_samples()) return;
                const int samples = decoder.samples();
                result = image16_of(decoder.raw(), bands ? samples : decoder.is_rgb() && samples >= 3 ? 3 : 1);
                if (decoder.has_white_zero() && samples == 1) invert(*result);
                return;
            }
#endif
            case Format::ppm: {
                const PpmHeader header = ppm_header(bytes, name);
                if (header.most <= 255 || header.as_text) return;
                result = Image16{header.shape.width, header.shape.height, header.shape.channels, {}};
                result->samples.resize(static_cast<std::size_t>(result->width) * static_cast<std::size_t>(result->height) *
                                       static_cast<std::size_t>(result->channels));
                for (std::size_t i = 0; i < result->samples.size(); ++i)
                    result->samples[i] = static_cast<std::uint16_t>(header.pixels[2 * i] << 8 | header.pixels[2 * i + 1]);
                return;
            }
            default: return;
        }
    });
    note = raw.note;
    return result;
}

}  // namespace detail

/// Decodes a PNG, TIFF or binary PPM file of 16-bit samples, gray or RGB, as stored: without alpha, upright, of a TIFF in
/// which 0 is white the inverted samples. Throws DamagedImage as decode() does, and Error for a file of other samples.
///
///     image::Image16 scan = image::decode16(bytes, "scan.png");
inline Image16 decode16(std::span<const std::uint8_t> bytes, std::string_view name) {
    std::string note;
    auto image = detail::samples16(bytes, name, /*bands=*/false, note);
    if (image) return *std::move(image);
    decode(bytes, name);  // says what is wrong with a damaged file
    fail("decode16: ", name, " has no samples of 16 bits, expected a PNG, TIFF or PPM file of them; image::decode reads it");
}

/// Reads and decodes a file of 16-bit samples. Throws UnreadableImage, with the path, if the file cannot be read.
inline Image16 read16(const std::filesystem::path& path) {
    const auto bytes = [&] {
        try {
            return detail::read_file(path, "read16");
        } catch (const Error& problem) { throw UnreadableImage(problem.what()); }
    }();
    return decode16(bytes, path.string());
}

/// How decode_samples() reads what decode() converts.
struct SampleOptions {
    std::optional<SampleWindow> window{};  ///< of 16-bit samples; without it they are scaled to 0 … 255 as decode() does
    bool bands = false;              ///< whether an image has all samples of a TIFF pixel as channels, 1 to 16
};

/// Decodes an image as decode() does, but 16-bit samples by their window, and TIFF files with all of their bands.
///
///     Image tile = image::decode_samples(bytes, "tile.tif", {.bands = true});   // tile.channels == 12
inline Image decode_samples(std::span<const std::uint8_t> bytes, std::string_view name, const SampleOptions& options) {
    if (options.window || (options.bands && format_of(bytes) != Format::ppm)) {
        std::string note;
        if (const auto wide = detail::samples16(bytes, name, options.bands, note)) {
            Image image(wide->width, wide->height, wide->channels);
            for (std::size_t i = 0; i < image.pixels.size(); ++i)
                image.pixels[i] = options.window ? (*options.window)(wide->samples[i])
                                                 : static_cast<std::uint8_t>((wide->samples[i] + 128u) / 257u);
            image.note = note;
            return image;
        }
    }
#if DOPPEL_TIFF
    if (options.bands && format_of(bytes) == Format::tiff) {
        std::optional<Image> image;
        Image noted;
        detail::guarded(name, noted, [&](std::string&) {
            detail::TiffDecoder decoder(bytes, name);
            decoder.open();
            if (decoder.bits() == 8 && decoder.has_plain_samples() && !decoder.has_white_zero()) image = decoder.raw();
        });
        if (image) return *std::move(image);
    }
#endif
    return decode(bytes, name);
}

}  // namespace doppel::image
