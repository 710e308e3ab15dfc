// SPDX-License-Identifier: Apache-2.0
// Decodes JPEG, PNG, WebP, GIF, BMP, PPM and TIFF.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/image/crop.hpp>
#include <doppel/image/detail/bmp.hpp>
#include <doppel/image/detail/cut.hpp>
#include <doppel/image/detail/file.hpp>
#include <doppel/image/detail/ppm.hpp>
#include <doppel/image/formats.hpp>
#include <doppel/image/image.hpp>
#if DOPPEL_JPEG
#include <doppel/image/detail/jpeg.hpp>
#endif
#if DOPPEL_PNG
#include <doppel/image/detail/png.hpp>
#endif
#if DOPPEL_WEBP
#include <doppel/image/detail/webp.hpp>
#endif
#if DOPPEL_GIF
#include <doppel/image/detail/gif.hpp>
#endif
#if DOPPEL_TIFF
#include <doppel/image/detail/tiff.hpp>
#endif

#include <cstdint>
#include <filesystem>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace doppel::image {

namespace detail {

/// Runs `decode`, whose errors become those of a damaged image, and takes over its note.
template <class Decode>
void guarded(std::string_view name, Image& into, const Decode& decode) {
    std::string note;
    try {
        decode(note);
    } catch (const Error& problem) {
        throw DamagedImage(problem.what());
    } catch (const std::bad_alloc&) { throw DamagedImage("decode: " + std::string(name) + ": no memory is left"); }
    if (!note.empty())
        into.note = doppel::detail::one_line("decode: " + std::string(name) + ": " + note + "; all rows are there");
}

/// Decodes `part` of an image, or all of it if that is null.
inline void decode_part(std::span<const std::uint8_t> bytes, std::string_view name, const Rect* part,
                        [[maybe_unused]] bool trusted, Image& into) {
    const auto decode_by = [&](const auto& decoder) {
        guarded(name, into, [&](std::string& note) {
            if constexpr (requires { decoder(bytes, name, into, note); })
                decoder(bytes, name, into, note);
            else
                into = decoder(bytes, name);
        });
        if (part) cut("decode_region", into, *part);
    };
    const auto format = format_of(bytes);
    if (!format)
        throw DamagedImage("decode: " + std::string(name) + (bytes.empty() ? ": no bytes" : ": not an image") +
                           ", expected a " + readable_formats + " file");
    switch (*format) {
#if DOPPEL_JPEG
        case Format::jpeg: {
            JpegDecoder decoder;
            guarded(name, into, [&](std::string&) { decoder.open(bytes, name); });
#if DOPPEL_JPEG_REGIONS
            if (part && decoder.has_regions()) {
                require_inside("decode_region", decoder.shape(), *part);
                guarded(name, into, [&](std::string& note) { decoder.region(*part, trusted, into, note); });
                return;
            }
#endif
            guarded(name, into, [&](std::string& note) { decoder.whole(into, note); });
            if (part) cut("decode_region", into, *part);
            return;
        }
#endif
#if DOPPEL_PNG
        case Format::png: return decode_by(decode_png);
#endif
#if DOPPEL_WEBP
        case Format::webp: return decode_by(decode_webp);
#endif
#if DOPPEL_GIF
        case Format::gif: return decode_by(decode_gif);
#endif
#if DOPPEL_TIFF
        case Format::tiff: return decode_by(decode_tiff);
#endif
        case Format::bmp: return decode_by(decode_bmp);
        case Format::ppm: {
            std::optional<PpmHeader> header;
            if (part) guarded(name, into, [&](std::string&) { header = ppm_header(bytes, name); });
            if (!header || !header->is_plain()) return decode_by(decode_ppm);
            require_inside("decode_region", header->shape, *part);
            return copy_part(header->pixels.data(), header->shape, *part, into);
        }
        default: break;
    }
    throw DamagedImage("decode: " + std::string(name) + ": a " + std::string(info_of(*format).name) + " file, but " +
                       why_unreadable(info_of(*format)));
}

}  // namespace detail

/// Decodes the bytes of an image file; the format is detected from the content. `name` is for messages.
///
/// Returns one channel if the file is gray, three otherwise. Keeps the stored values: drops alpha without compositing
/// (as torchvision's ImageFolder does), ignores color profiles and gamma, scales other ranges to 0 … 255 (16 bits are
/// rounded). Converts CMYK and YCCK of JPEG, taken as inverted, to RGB by Pillow's formula. JPEG uses the accurate
/// integer DCT and smooth chroma upsampling and is bit-identical to Pillow. Applies the EXIF orientation. Of a file with
/// several pictures, decodes the first one, on the whole canvas. A JPEG without its end marker and a PNG without an
/// intact end are decoded if all rows are there; the image's `note` says so.
///
/// Throws DamagedImage (an Error), with the name and the reason: another format, one that this build does not
/// support, damaged or truncated data, more than 2^28 pixels.
///
///     Image photo = image::decode(bytes, "upload 7");
inline Image decode(std::span<const std::uint8_t> bytes, std::string_view name) {
    Image image;
    detail::decode_part(bytes, name, nullptr, false, image);
    return image;
}

/// Decodes into an image whose memory is used again where it suffices (JPEG, PNG and PPM). After an error its pixels are
/// undefined.
inline void decode_into(std::span<const std::uint8_t> bytes, std::string_view name, Image& into) {
    detail::decode_part(bytes, name, nullptr, false, into);
}

/// Reads the bytes of an image file. Throws UnreadableImage, with the path, if the file cannot be read.
inline std::vector<std::uint8_t> read_bytes(const std::filesystem::path& path) {
    try {
        return detail::read_file(path, "read");
    } catch (const Error& problem) { throw UnreadableImage(problem.what()); }
}

/// Reads and decodes a file. Throws UnreadableImage, with the path, if the file cannot be read.
inline Image read(const std::filesystem::path& path) { return decode(read_bytes(path), path.string()); }

}  // namespace doppel::image
