// SPDX-License-Identifier: Apache-2.0
// Decodes the first picture of a TIFF file by libtiff.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/image/detail/canvas.hpp>
#include <doppel/image/detail/exif.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tiffio.h>

namespace doppel::image::detail {

/// The samples per pixel that are read as bands.
inline constexpr int most_bands = 16;

class TiffDecoder {
public:
    TiffDecoder(std::span<const std::uint8_t> bytes, std::string_view name) : bytes_(bytes), name_(name) {
        TIFFOpenOptions* options = TIFFOpenOptionsAlloc();
        TIFFOpenOptionsSetErrorHandlerExtR(options, keep_first, this);
        TIFFOpenOptionsSetWarningHandlerExtR(options, ignore, nullptr);
        TIFFOpenOptionsSetMaxSingleMemAlloc(options, most_pixels * 8);
        tiff_ = TIFFClientOpenExt("", "r", this, read, write, seek, close, size, map, unmap, options);
        TIFFOpenOptionsFree(options);
        if (!tiff_) give_up();
    }
    ~TiffDecoder() {
        if (converts_) TIFFRGBAImageEnd(&converter_);
        TIFFClose(tiff_);
    }
    TiffDecoder(const TiffDecoder&) = delete;
    TiffDecoder& operator=(const TiffDecoder&) = delete;

    /// Reads the header.
    void open() {
        std::uint32_t kind = 0;
        TIFFGetField(tiff_, TIFFTAG_IMAGEWIDTH, &width_);
        TIFFGetField(tiff_, TIFFTAG_IMAGELENGTH, &height_);
        TIFFGetField(tiff_, TIFFTAG_SUBFILETYPE, &kind);
        TIFFGetFieldDefaulted(tiff_, TIFFTAG_SAMPLESPERPIXEL, &samples_);
        TIFFGetFieldDefaulted(tiff_, TIFFTAG_BITSPERSAMPLE, &bits_);
        TIFFGetField(tiff_, TIFFTAG_PHOTOMETRIC, &photometric_);
        TIFFGetField(tiff_, TIFFTAG_ORIENTATION, &turned_);
        check_size(name_, width_, height_);
        require((kind & FILETYPE_REDUCEDIMAGE) == 0, "decode: ", name_,
                ": the first picture of the TIFF file is a thumbnail, as in camera raw files: convert it to JPEG");
    }
    int samples() const { return samples_; }
    int bits() const { return bits_; }
    bool is_rgb() const { return photometric_ == PHOTOMETRIC_RGB; }
    bool has_white_zero() const { return photometric_ == PHOTOMETRIC_MINISWHITE; }
    /// Returns whether raw() gives what the image shows: whole numbers of 8 or 16 bits, gray, RGB or bands.
    bool has_plain_samples() const {
        std::uint16_t format = SAMPLEFORMAT_UINT;
        TIFFGetFieldDefaulted(tiff_, TIFFTAG_SAMPLEFORMAT, &format);
        return samples_ > 0 && (bits_ == 8 || bits_ == 16) && (format == SAMPLEFORMAT_UINT || format == SAMPLEFORMAT_VOID) &&
               (photometric_ == PHOTOMETRIC_MINISBLACK || photometric_ == PHOTOMETRIC_MINISWHITE || photometric_ == PHOTOMETRIC_RGB);
    }

    /// Reads all samples of each pixel; those of 16 bits become two bytes, in the machine's order.
    Image raw() {
        require(samples_ <= most_bands, "decode: ", name_, ": TIFF with ", samples_, " samples per pixel, expected 1 to ", most_bands);
        const std::int64_t pixel = std::int64_t{samples_} * bits_ / 8;
        require(std::int64_t{width_} * height_ <= 6 * most_pixels / pixel, "decode: ", name_, ": ", width_, " x ", height_, " x ",
                samples_, " samples of ", bits_, " bits, expected at most ", 6 * most_pixels, " bytes");
        Image image(static_cast<int>(width_), static_cast<int>(height_), static_cast<int>(pixel));
        std::uint16_t planes = PLANARCONFIG_CONTIG;
        TIFFGetFieldDefaulted(tiff_, TIFFTAG_PLANARCONFIG, &planes);
        const bool separate = planes == PLANARCONFIG_SEPARATE && samples_ > 1, tiled = TIFFIsTiled(tiff_) != 0;
        std::uint32_t across = width_, down = height_;
        if (tiled) {
            TIFFGetField(tiff_, TIFFTAG_TILEWIDTH, &across);
            TIFFGetField(tiff_, TIFFTAG_TILELENGTH, &down);
        } else {
            TIFFGetFieldDefaulted(tiff_, TIFFTAG_ROWSPERSTRIP, &down);
        }
        require(across > 0 && down > 0, "decode: ", name_, ": damaged TIFF: its tiles have no pixels");
        down = tiled ? down : std::min(down, height_);
        const std::size_t part = separate ? bits_ / 8u : static_cast<std::size_t>(pixel);  // bytes of a pixel in a block
        const auto size = static_cast<std::size_t>(std::max<tmsize_t>(tiled ? TIFFTileSize(tiff_) : TIFFStripSize(tiff_), 0));
        require(size > 0 && size <= 8 * static_cast<std::size_t>(most_pixels) && size / part / across >= down, "decode: ", name_,
                ": damaged TIFF: a block of ", size, " bytes");
        std::vector<std::uint8_t> block(size);
        message_[0] = '\0';  // what was wrong with other tags does no harm
        for (std::uint16_t s = 0; s < (separate ? samples_ : 1); ++s)
            for (std::uint32_t y = 0; y < height_; y += std::min(down, height_ - y))
                for (std::uint32_t x = 0; x < width_; x += std::min(across, width_ - x)) {
                    const std::uint32_t columns = std::min(across, width_ - x), rows = std::min(down, height_ - y);
                    const auto needed = static_cast<tmsize_t>((std::size_t{rows - 1} * across + columns) * part);
                    const auto got = tiled ? TIFFReadEncodedTile(tiff_, TIFFComputeTile(tiff_, x, y, 0, s), block.data(), static_cast<tmsize_t>(size))
                                           : TIFFReadEncodedStrip(tiff_, TIFFComputeStrip(tiff_, y, s), block.data(), static_cast<tmsize_t>(size));
                    if (got < needed || message_[0] != '\0') give_up();
                    for (std::uint32_t r = 0; r < rows; ++r) {
                        const std::uint8_t* from = block.data() + std::size_t{r} * across * part;
                        std::uint8_t* to = image.at(static_cast<int>(x), static_cast<int>(y + r)) + s * part;
                        if (!separate)
                            std::copy_n(from, columns * part, to);
                        else
                            for (std::uint32_t c = 0; c < columns; ++c, from += part, to += pixel) std::copy_n(from, part, to);
                    }
                }
        return oriented(std::move(image), turned_);
    }

    Image decode() {
        const auto samples = samples_, turned = turned_;
        const auto width = width_, height = height_;
        require(samples >= 1 && samples <= 5, "decode: ", name_, ": TIFF with ", samples,
                " samples per pixel, expected 1 to 5", samples <= most_bands ? "; --channels " + std::to_string(samples) + " reads all of them" : "");

        // libtiff is to leave colors as stored: not multiplied by alpha, not turned.
        std::uint16_t extras = 0, *kinds = nullptr;
        if (TIFFGetField(tiff_, TIFFTAG_EXTRASAMPLES, &extras, &kinds) == 1 && extras > 0) {
            std::vector<std::uint16_t> unspecified(extras, std::uint16_t{EXTRASAMPLE_UNSPECIFIED});
            TIFFSetField(tiff_, TIFFTAG_EXTRASAMPLES, extras, unspecified.data());
        }
        TIFFSetField(tiff_, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
        converts_ = TIFFRGBAImageOK(tiff_, message_) == 1 && TIFFRGBAImageBegin(&converter_, tiff_, 1, message_) == 1;
        if (!converts_) give_up();
        converter_.req_orientation = ORIENTATION_TOPLEFT;
        const bool gray = converter_.photometric == PHOTOMETRIC_MINISBLACK ||
                          converter_.photometric == PHOTOMETRIC_MINISWHITE;
        if (gray && converter_.bitspersample == 16 && converter_.isContig) converter_.put.contig = put_gray_16;
        message_[0] = '\0';  // what was wrong with other tags does no harm
        std::vector<std::uint32_t> raster(std::size_t{width} * height);
        if (TIFFRGBAImageGet(&converter_, raster.data(), width, height) != 1 || message_[0] != '\0') give_up();

        Image image = canvas(name_, width, height, gray ? 1 : 3);
        std::uint8_t* out = image.pixels.data();
        for (const std::uint32_t pixel : raster)
            for (int c = 0; c < image.channels; ++c) *out++ = static_cast<std::uint8_t>(pixel >> 8 * c);
        return oriented(std::move(image), turned);
    }

private:
    [[noreturn]] void give_up() const {
        fail("decode: ", name_, ": damaged or unsupported TIFF: ", message_[0] != '\0' ? message_ : "unknown error");
    }
    /// Converts 16 bits to 8, rounded; libtiff would take the upper 8.
    static void put_gray_16(TIFFRGBAImage* image, std::uint32_t* out, std::uint32_t, std::uint32_t,
                            std::uint32_t width, std::uint32_t height, std::int32_t skip, std::int32_t out_skip,
                            unsigned char* in) {
        const std::size_t step = 2 * std::size_t{image->samplesperpixel};
        for (std::uint32_t y = 0; y < height; ++y) {
            for (std::uint32_t x = 0; x < width; ++x, in += step) {
                std::uint16_t sample = 0;
                std::memcpy(&sample, in, 2);
                const std::uint32_t gray = (sample + 128u) / 257;
                *out++ = image->photometric == PHOTOMETRIC_MINISWHITE ? 255 - gray : gray;
            }
            in += static_cast<std::ptrdiff_t>(step) * skip;
            out += out_skip;
        }
    }

    static TiffDecoder& self(thandle_t handle) { return *static_cast<TiffDecoder*>(handle); }
    static tmsize_t read(thandle_t handle, void* out, tmsize_t count) {
        auto& decoder = self(handle);
        const auto left = decoder.bytes_.subspan(std::min(decoder.at_, decoder.bytes_.size()));
        const std::size_t got = std::min(static_cast<std::size_t>(std::max<tmsize_t>(count, 0)), left.size());
        std::copy_n(left.data(), got, static_cast<std::uint8_t*>(out));
        decoder.at_ += got;
        return static_cast<tmsize_t>(got);
    }
    static tmsize_t write(thandle_t, void*, tmsize_t) { return 0; }
    static toff_t seek(thandle_t handle, toff_t offset, int from) {
        auto& decoder = self(handle);
        const std::size_t base = from == SEEK_SET ? 0 : from == SEEK_CUR ? decoder.at_ : decoder.bytes_.size();
        return decoder.at_ = base + static_cast<std::size_t>(offset);
    }
    static int close(thandle_t) { return 0; }
    static toff_t size(thandle_t handle) { return self(handle).bytes_.size(); }
    static int map(thandle_t handle, void** start, toff_t* count) {  // libtiff only reads there
        *start = const_cast<std::uint8_t*>(self(handle).bytes_.data());
        *count = self(handle).bytes_.size();
        return 1;
    }
    static void unmap(thandle_t, void*, toff_t) {}
    static int keep_first(TIFF*, void* handle, const char*, const char* format, std::va_list values) {
        auto& message = self(handle).message_;
        if (message[0] == '\0') std::vsnprintf(message, sizeof message, format, values);
        return 1;
    }
    static int ignore(TIFF*, void*, const char*, const char*, std::va_list) { return 1; }

    std::span<const std::uint8_t> bytes_;
    std::string_view name_;
    std::size_t at_ = 0;
    char message_[1024] = {};  // the length that libtiff expects
    TIFF* tiff_ = nullptr;
    std::uint32_t width_ = 0, height_ = 0;
    std::uint16_t samples_ = 1, bits_ = 1, photometric_ = PHOTOMETRIC_MINISBLACK, turned_ = 1;
    TIFFRGBAImage converter_{};
    bool converts_ = false;
};

/// Reads gray, palette, RGB, CMYK and YCbCr of up to 16 bits, striped or tiled, with every compression of libtiff.
inline Image decode_tiff(std::span<const std::uint8_t> bytes, std::string_view name) {
    TiffDecoder decoder(bytes, name);
    decoder.open();
    return decoder.decode();
}

}  // namespace doppel::image::detail
