// SPDX-License-Identifier: Apache-2.0
// JPEG by libjpeg-turbo. Converts its errors, which longjmp, to Error.
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

class JpegDecoder {
public:
    JpegDecoder() {
        codec_.err = &errors_.manager;
        codec_.client_data = &errors_;
    }
    ~JpegDecoder() { jpeg_destroy_decompress(&codec_); }
    JpegDecoder(const JpegDecoder&) = delete;
    JpegDecoder& operator=(const JpegDecoder&) = delete;

    /// Of a file that ends before its end marker, decodes the image if all of it is there, and says so in `note`.
    Image decode(std::span<const std::uint8_t> bytes, std::string_view name, std::string& note) {
        const auto give_up = [&] { fail("decode: ", name, ": damaged or unsupported JPEG: ", errors_.message); };
        if (!errors_.completes([&] {
                jpeg_create_decompress(&codec_);
                jpeg_mem_src(&codec_, const_cast<unsigned char*>(bytes.data()),
                             static_cast<unsigned long>(bytes.size()));
                jpeg_save_markers(&codec_, JPEG_APP0 + 1, 0xFFFF);
                jpeg_read_header(&codec_, TRUE);
            }))
            give_up();
        const int components = codec_.num_components;
        require(components == 1 || components == 3 || components == 4, "decode: ", name, ": JPEG with ", components,
                " components, expected 1, 3 or 4");
        codec_.out_color_space = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_RGB : JCS_CMYK;
        Image image = canvas(name, codec_.image_width, codec_.image_height, components == 1 ? 1 : 3);
        std::vector<std::uint8_t> inks(components == 4 ? static_cast<std::size_t>(image.width) * 4 : 0);
        const int turned = orientation_marked();
        bool complete = false;
        errors_.may_end = true;  // within the image, missing bits are another warning
        if (!errors_.completes([&] {
                jpeg_start_decompress(&codec_);
                while (codec_.output_scanline < codec_.output_height) {
                    std::uint8_t* row = image.at(0, static_cast<int>(codec_.output_scanline));
                    JSAMPROW into = inks.empty() ? row : inks.data();
                    jpeg_read_scanlines(&codec_, &into, 1);
                    if (!inks.empty()) cmyk_to_rgb(inks.data(), row, image.width);
                }
                complete = scans_are_complete();  // while libjpeg knows
                jpeg_finish_decompress(&codec_);
            }))
            give_up();
        if (errors_.ended) {
            require(complete, "decode: ", name, ": damaged or unsupported JPEG: the file ends before its last scan");
            note = "JPEG without its end marker";
        }
        return oriented(std::move(image), turned);
    }

private:
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
    /// Reads the orientation from the markers, which libjpeg frees when decoding ends.
    int orientation_marked() const {
        for (auto* marker = codec_.marker_list; marker; marker = marker->next)
            if (marker->data_length > 6 && marker->data[0] == 'E' && marker->data[1] == 'x')
                return orientation({marker->data, marker->data_length});
        return 1;
    }

    JpegErrors errors_;
    jpeg_decompress_struct codec_{};
};

inline Image decode_jpeg(std::span<const std::uint8_t> bytes, std::string_view name, std::string& note) {
    return JpegDecoder().decode(bytes, name, note);
}

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
