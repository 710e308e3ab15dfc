// SPDX-License-Identifier: Apache-2.0
// Decodes PNG by libpng. Converts its errors, which longjmp, to Error.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/image/detail/canvas.hpp>
#include <doppel/image/detail/exif.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <png.h>

namespace doppel::image::detail {

class PngDecoder {
public:
    explicit PngDecoder(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
    ~PngDecoder() { png_destroy_read_struct(&png_, &info_, nullptr); }
    PngDecoder(const PngDecoder&) = delete;
    PngDecoder& operator=(const PngDecoder&) = delete;

    /// Reads the header.
    void open(std::string_view name) {
        name_ = name;
        drop_incomplete_chunk();
        if (!completes([&] {
                png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, leave, [](png_structp, png_const_charp) {});
                info_ = png_ ? png_create_info_struct(png_) : nullptr;
                if (!info_) return;
                png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // check_size() checks the limit
                png_set_read_fn(png_, this, read);
                png_read_info(png_, info_);
            }))
            give_up();
        require(info_ != nullptr, "decode: ", name,
                ": cannot initialize libpng: its version differs from compile time, or no memory is left");
        check_size(name, png_get_image_width(png_, info_), png_get_image_height(png_, info_));
    }
    bool has_16_bits() const { return png_get_bit_depth(png_, info_) == 16; }

    /// Decodes also where what follows the pixels is damaged or missing, and says so in `note`. With `wide`, samples of 16
    /// bits become two bytes, in the machine's order.
    void decode(Image& into, std::string& note, bool wide = false) {
        const int channels = (png_get_color_type(png_, info_) & PNG_COLOR_MASK_COLOR) != 0 ? 3 : 1;
        into.reshape(static_cast<int>(png_get_image_width(png_, info_)), static_cast<int>(png_get_image_height(png_, info_)),
                     wide ? 2 * channels : channels);
        std::vector<png_bytep> rows(static_cast<std::size_t>(into.height));
        for (std::size_t y = 0; y < rows.size(); ++y) rows[y] = into.at(0, static_cast<int>(y));
        if (!completes([&] {
                png_set_palette_to_rgb(png_);
                png_set_expand_gray_1_2_4_to_8(png_);
                if (wide)
                    png_set_swap(png_);
                else
                    png_set_scale_16(png_);
                png_set_strip_alpha(png_);
                png_set_interlace_handling(png_);
                png_read_update_info(png_, info_);
                if (png_get_rowbytes(png_, info_) * rows.size() != into.pixels.size())
                    png_error(png_, "rows of unexpected length");
                png_read_image(png_, rows.data());
            }))
            give_up();
        if (!completes([&] { png_read_end(png_, info_); }))
            note = std::string("PNG without an intact end: ") + message_;
        int turned = 1;
#ifdef PNG_eXIf_SUPPORTED
        png_uint_32 size = 0;
        png_bytep exif = nullptr;
        if (png_get_eXIf_1(png_, info_, &size, &exif)) turned = orientation({exif, size});
#endif
        if (turned > 1) into = oriented(std::move(into), turned);
    }

private:
    [[noreturn]] void give_up() const { fail("decode: ", name_, ": damaged or unsupported PNG: ", message_); }
    /// Ends the bytes before a chunk (length, name, data, checksum) that is longer than the file: libpng would first
    /// allocate and clear the claimed length, up to 2 GiB.
    void drop_incomplete_chunk() {
        constexpr std::string_view end = "IEND";
        for (std::size_t at = 8; at < bytes_.size();) {
            const auto chunk = bytes_.subspan(at);
            if (chunk.size() < 12 || png_get_uint_32(chunk.data()) > chunk.size() - 12) {
                bytes_ = bytes_.first(at);
                return;
            }
            if (std::equal(end.begin(), end.end(), chunk.begin() + 4)) return;
            at += 12 + png_get_uint_32(chunk.data());
        }
    }
    /// Runs `action`; returns false, with message_ set, if libpng failed. The longjmp skips destructors, so `action`
    /// must own nothing; objects with destructors belong to the caller.
    template <class Action>
    bool completes(const Action& action) {
        if (setjmp(back_) != 0) return false;
        action();
        return true;
    }
    [[noreturn]] static void leave(png_structp png, png_const_charp message) {
        auto& self = *static_cast<PngDecoder*>(png_get_error_ptr(png));
        std::snprintf(self.message_, sizeof self.message_, "%s", message);
        std::longjmp(self.back_, 1);
    }
    static void read(png_structp png, png_bytep out, std::size_t size) {
        auto& self = *static_cast<PngDecoder*>(png_get_io_ptr(png));
        if (size > self.bytes_.size()) png_error(png, "the file ends too early");
        std::copy_n(self.bytes_.data(), size, out);
        self.bytes_ = self.bytes_.subspan(size);
    }

    std::span<const std::uint8_t> bytes_;
    std::string_view name_;
    png_structp png_ = nullptr;
    png_infop info_ = nullptr;
    std::jmp_buf back_{};
    char message_[200] = {};
};

/// Reads the size of the upright image; nothing if the file may have an orientation or a chunk is truncated.
inline std::optional<Shape> png_shape(std::span<const std::uint8_t> bytes) {
    constexpr std::size_t header = 8 + 25;  // signature; length, IHDR, width, height, bits, color …, checksum
    if (bytes.size() < header || png_get_uint_32(&bytes[8]) != 13) return std::nullopt;
    const std::uint32_t width = png_get_uint_32(&bytes[16]), height = png_get_uint_32(&bytes[20]);
    if (width == 0 || height == 0 || width > most_pixels / height) return std::nullopt;
    for (std::size_t at = header; at < bytes.size();) {
        const auto chunk = bytes.subspan(at);
        if (chunk.size() < 12 || png_get_uint_32(chunk.data()) > chunk.size() - 12) return std::nullopt;
        const std::string_view name(reinterpret_cast<const char*>(&chunk[4]), 4);
        if (name == "eXIf") return std::nullopt;
        if (name == "IEND") break;
        at += 12 + png_get_uint_32(chunk.data());
    }
    const bool color = (bytes[25] & PNG_COLOR_MASK_COLOR) != 0;
    return Shape{static_cast<int>(width), static_cast<int>(height), color ? 3 : 1};
}

inline void decode_png(std::span<const std::uint8_t> bytes, std::string_view name, Image& into, std::string& note) {
    PngDecoder decoder(bytes);
    decoder.open(name);
    decoder.decode(into, note);
}

}  // namespace doppel::image::detail
