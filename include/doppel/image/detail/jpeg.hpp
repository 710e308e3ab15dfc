// SPDX-License-Identifier: Apache-2.0
// JPEG by libjpeg-turbo. Converts its errors, which longjmp, to Error.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/image/crop.hpp>
#include <doppel/image/detail/canvas.hpp>
#include <doppel/image/detail/exif.hpp>
#include <doppel/image/detail/jpeg_rows.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <jerror.h>
#include <jpeglib.h>

namespace doppel::image::detail {

/// The error handler of libjpeg.
struct JpegErrors {
    jpeg_error_mgr manager{};
    std::jmp_buf back{};
    char message[JMSG_LENGTH_MAX] = {};
    bool may_end = false;  ///< whether a file that ends is no error: what it lacks shows itself
    bool ended = false;    ///< whether it did

    JpegErrors() {
        jpeg_std_error(&manager);
        manager.error_exit = leave;
        manager.emit_message = warn;
        manager.output_message = [](j_common_ptr) {};
    }

    /// Runs `action`; returns false, with `message` set, if libjpeg failed. The longjmp skips destructors, so `action`
    /// must own nothing; objects with destructors belong to the caller.
    template <class Action>
    bool completes(const Action& action) {
        if (setjmp(back) != 0) return false;
        action();
        return true;
    }

private:
    [[noreturn]] static void leave(j_common_ptr codec) {
        auto& self = *static_cast<JpegErrors*>(codec->client_data);
        self.manager.format_message(codec, self.message);
        std::longjmp(self.back, 1);
    }
    /// Treats warnings as errors: where data are damaged or missing, libjpeg warns and makes up pixels. Exceptions are
    /// warnings that leave all pixels intact: surplus bytes, unknown versions and color profiles.
    static void warn(j_common_ptr codec, int level) {
        const int code = codec->err->msg_code;
        const bool harmless = code == JWRN_EXTRANEOUS_DATA || code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR
#ifdef LIBJPEG_TURBO_VERSION
                              || code == JWRN_BOGUS_ICC
#endif
            ;
        auto& self = *static_cast<JpegErrors*>(codec->client_data);
        if (code == JWRN_JPEG_EOF && self.may_end)  // libjpeg takes it as the end marker
            self.ended = true;
        else if (level < 0 && !harmless)
            leave(codec);
    }
};

/// Converts inverted CMYK, which is what programs write, to RGB: each color times black, rounded, by Pillow's formula.
inline void cmyk_to_rgb(const std::uint8_t* cmyk, std::uint8_t* rgb, int width) {
    for (int x = 0; x < width; ++x, cmyk += 4, rgb += 3)
        for (int c = 0; c < 3; ++c) {
            const int ink = (255 - cmyk[c]) * cmyk[3] + 128;
            const int paper = cmyk[3] - (((ink >> 8) + ink) >> 8);
            rgb[c] = static_cast<std::uint8_t>(paper < 0 ? 0 : paper);
        }
}

/// Reads the orientation from the markers that were saved, which libjpeg frees when decoding ends.
inline int orientation_marked(const jpeg_decompress_struct& codec) {
    for (auto* marker = codec.marker_list; marker; marker = marker->next)
        if (marker->data_length > 6 && marker->data[0] == 'E' && marker->data[1] == 'x')
            return orientation({marker->data, marker->data_length});
    return 1;
}

// The columns and rows of a region: libjpeg-turbo 2.1 and later give the very pixels of whole decoding.
#if defined(LIBJPEG_TURBO_VERSION_NUMBER) && LIBJPEG_TURBO_VERSION_NUMBER >= 2001000
#define DOPPEL_JPEG_REGIONS 1
#else
#define DOPPEL_JPEG_REGIONS 0
#endif

/// Decodes one file: open(), then whole() or region().
class JpegDecoder {
public:
    JpegDecoder() {
        codec_.err = &errors_.manager;
        codec_.client_data = &errors_;
    }
    ~JpegDecoder() { jpeg_destroy_decompress(&codec_); }
    JpegDecoder(const JpegDecoder&) = delete;
    JpegDecoder& operator=(const JpegDecoder&) = delete;

    /// Reads the header.
    void open(std::span<const std::uint8_t> bytes, std::string_view name) {
        bytes_ = bytes;
        name_ = name;
        if (!errors_.completes([&] {
                jpeg_create_decompress(&codec_);
                read_header(bytes);
            }))
            give_up();
        const int components = codec_.num_components;
        require(components == 1 || components == 3 || components == 4, "decode: ", name, ": JPEG with ", components,
                " components, expected 1, 3 or 4");
        check_size(name, codec_.image_width, codec_.image_height);
        turned_ = orientation_marked(codec_);
    }
    /// Returns the upright image's size.
    Shape shape() const {
        const int width = static_cast<int>(codec_.image_width), height = static_cast<int>(codec_.image_height);
        const bool swap = turned_ >= 5;
        return {swap ? height : width, swap ? width : height, codec_.num_components == 1 ? 1 : 3};
    }
    /// Returns whether region() can be used: one sequential scan, with color at half or full resolution.
    bool has_regions() {
        return DOPPEL_JPEG_REGIONS && codec_.num_components <= 3 && codec_.data_precision == 8 &&
               codec_.arith_code == FALSE && jpeg_has_multiple_scans(&codec_) == FALSE &&
               codec_.max_h_samp_factor <= 2 && codec_.max_v_samp_factor <= 2;
    }

    /// Of a file that ends before its end marker, decodes the image if all of it is there, and says so in `note`.
    void whole(Image& into, std::string& note) {
        const int components = codec_.num_components;
        into.reshape(static_cast<int>(codec_.image_width), static_cast<int>(codec_.image_height),
                     components == 1 ? 1 : 3);
        const auto bytes = static_cast<std::size_t>(into.width) * static_cast<std::size_t>(into.channels);
        run(note, [&] {
            jpeg_start_decompress(&codec_);
            JSAMPROW row = row_buffer();
            for (std::uint8_t* out = into.pixels.data(); codec_.output_scanline < codec_.output_height; out += bytes) {
                jpeg_read_scanlines(&codec_, &row, 1);
                if (components == 4)
                    cmyk_to_rgb(row, out, into.width);
                else
                    std::copy_n(row, bytes, out);
            }
        });
        if (turned_ > 1) into = oriented(std::move(into), turned_);
    }

#if DOPPEL_JPEG_REGIONS
    /// Decodes `seen`, which lies inside the upright image. The data below it are read to the end, so that damage there is
    /// found, unless the file is `trusted`.
    void region(const Rect& seen, bool trusted, Image& into, std::string& note) {
        Rect part = as_stored(seen, static_cast<int>(codec_.image_width), static_cast<int>(codec_.image_height), turned_);
        if (trusted) keep_rows(part);
        const int channels = codec_.num_components;
        into.reshape(part.width, part.height, channels);
        const auto all = codec_.image_width, rows = codec_.image_height;
        // A row of one pixel is upsampled otherwise.
        const auto left = static_cast<JDIMENSION>(std::max(part.left - neighbors, 0));
        const auto right = std::min(static_cast<JDIMENSION>(part.left + part.width + neighbors), all);
        const auto last = static_cast<JDIMENSION>(part.top + part.height);
        const auto bytes = static_cast<std::size_t>(part.width) * static_cast<std::size_t>(channels);
        const auto decode = [&] {
            jpeg_start_decompress(&codec_);
            JDIMENSION first = left, width = right - left;
            if (width < all) jpeg_crop_scanline(&codec_, &first, &width);
            JSAMPROW row = row_buffer();
            const auto cut = static_cast<std::size_t>(static_cast<JDIMENSION>(part.left) - first) *
                             static_cast<std::size_t>(channels);
            if (part.top > 0) jpeg_skip_scanlines(&codec_, static_cast<JDIMENSION>(part.top));
            for (std::uint8_t* out = into.pixels.data(); codec_.output_scanline < last; out += bytes) {
                jpeg_read_scanlines(&codec_, &row, 1);
                std::copy_n(row + cut, bytes, out);
            }
            if (trusted || last == rows) return;
            // libjpeg reads nothing more when the last row is skipped.
            if (last + 1 < rows) jpeg_skip_scanlines(&codec_, rows - last - 1);
            jpeg_read_scanlines(&codec_, &row, 1);
        };
        if (!trusted) {
            run(note, decode);
        } else {
            errors_.may_end = true;
            if (!errors_.completes(decode)) give_up();
        }
        if (turned_ > 1) into = oriented(std::move(into), turned_);
    }
#endif

private:
    static constexpr int neighbors = 2;  // pixels at each side that smooth upsampling reads

    void read_header(std::span<const std::uint8_t> bytes) {
        jpeg_mem_src(&codec_, const_cast<unsigned char*>(bytes.data()), static_cast<unsigned long>(bytes.size()));
        jpeg_save_markers(&codec_, JPEG_APP0 + 1, 0xFFFF);
        jpeg_read_header(&codec_, TRUE);
        const int components = codec_.num_components;
        codec_.out_color_space = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_RGB : JCS_CMYK;
    }
    /// Of a file with a restart marker after each row of blocks, keeps the rows that `part` needs, and moves `part` there:
    /// libjpeg reads nothing of the others.
    void keep_rows(Rect& part) {
        const bool gray = codec_.num_components == 1;
        const int high = DCTSIZE * codec_.max_v_samp_factor, wide = DCTSIZE * (gray ? 1 : codec_.max_h_samp_factor);
        const int width = static_cast<int>(codec_.image_width), height = static_cast<int>(codec_.image_height);
        if (codec_.restart_interval != static_cast<unsigned>((width - 1) / wide + 1) || (gray && high != DCTSIZE)) return;
        const int margin = high > DCTSIZE ? neighbors : 0;
        const int first = std::max(part.top - margin, 0) / high;
        const int end = (std::min(part.top + part.height + margin, height) - 1) / high + 1;
        const int top = first * high, bottom = std::min(end * high, height);
        if (bottom - top == height) return;
        rows_ = jpeg_rows(bytes_, bytes_.size() - codec_.src->bytes_in_buffer, first, end, bottom - top);
        if (rows_.empty()) return;
        if (!errors_.completes([&] {
                jpeg_abort_decompress(&codec_);
                read_header(rows_);
            }))
            give_up();
        part.top -= top;
    }
    [[noreturn]] void give_up() const {
        fail("decode: ", name_, ": damaged or unsupported JPEG: ", errors_.message);
    }
    /// Returns room for a row, which libjpeg frees. It is not aligned: libjpeg-turbo writes aligned rows past the cache,
    /// and reading them back would take a fifth of the time of decoding.
    JSAMPROW row_buffer() {
        const auto samples = codec_.output_width * static_cast<JDIMENSION>(codec_.output_components);
        return 1 + *codec_.mem->alloc_sarray(reinterpret_cast<j_common_ptr>(&codec_), JPOOL_IMAGE, 1 + samples, 1);
    }
    /// Decodes and reads the end of the file.
    template <class Decode>
    void run(std::string& note, const Decode& decode) {
        bool complete = false;
        errors_.may_end = true;  // within the image, missing bits are another warning
        if (!errors_.completes([&] {
                decode();
                complete = scans_are_complete();  // while libjpeg knows
                jpeg_finish_decompress(&codec_);
            }))
            give_up();
        if (!errors_.ended) return;
        require(complete, "decode: ", name_, ": damaged or unsupported JPEG: the file ends before its last scan");
        note = "JPEG without its end marker";
    }
    /// Returns whether a file without an end marker has all scans. A file of several scans gives all rows after the
    /// first one; only a progressive file says how many bits are missing.
    bool scans_are_complete() {
        if (jpeg_has_multiple_scans(&codec_) == FALSE) return true;
        if (codec_.progressive_mode == FALSE || !codec_.coef_bits) return false;
        for (int c = 0; c < codec_.num_components; ++c)
            if (std::any_of(codec_.coef_bits[c], codec_.coef_bits[c] + DCTSIZE2, [](int bits) { return bits != 0; }))
                return false;
        return true;
    }

    JpegErrors errors_;
    jpeg_decompress_struct codec_{};
    std::span<const std::uint8_t> bytes_;
    std::string_view name_;
    int turned_ = 1;
    std::vector<std::uint8_t> rows_;
};

class JpegEncoder {
public:
    JpegEncoder() {
        codec_.err = &errors_.manager;
        codec_.client_data = &errors_;
    }
    ~JpegEncoder() {
        jpeg_destroy_compress(&codec_);
        std::free(bytes_);
    }
    JpegEncoder(const JpegEncoder&) = delete;
    JpegEncoder& operator=(const JpegEncoder&) = delete;

    std::vector<std::uint8_t> encode(const Image& image, int quality) {
        if (!errors_.completes([&] {
                jpeg_create_compress(&codec_);
                jpeg_mem_dest(&codec_, &bytes_, &size_);
                codec_.image_width = static_cast<JDIMENSION>(image.width);
                codec_.image_height = static_cast<JDIMENSION>(image.height);
                codec_.input_components = image.channels;
                codec_.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
                jpeg_set_defaults(&codec_);
                jpeg_set_quality(&codec_, quality, TRUE);
                jpeg_start_compress(&codec_, TRUE);
                while (codec_.next_scanline < codec_.image_height) {
                    JSAMPROW row = const_cast<std::uint8_t*>(image.at(0, static_cast<int>(codec_.next_scanline)));
                    jpeg_write_scanlines(&codec_, &row, 1);
                }
                jpeg_finish_compress(&codec_);
            }))
            fail("encode_jpeg: ", image.width, " x ", image.height, ": ", errors_.message);
        return {bytes_, bytes_ + size_};
    }

private:
    JpegErrors errors_;
    jpeg_compress_struct codec_{};
    unsigned char* bytes_ = nullptr;
    unsigned long size_ = 0;
};

}  // namespace doppel::image::detail
