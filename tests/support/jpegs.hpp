// SPDX-License-Identifier: Apache-2.0
// JPEG files of every layout, written by libjpeg.
#pragma once

#if DOPPEL_JPEG
#include <doppel/image/image.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <jpeglib.h>

namespace doppel::test {

struct JpegLayout {
    int across = 2, down = 2;        ///< sampling of the luma, chroma having 1
    bool progressive = false, optimized = false, arithmetic = false;
    bool one_scan_each = false;      ///< sequential, a scan per component
    int restart_rows = 0;            ///< rows of blocks between restart markers
    int restart_blocks = 0;          ///< blocks between restart markers
    int orientation = 0;             ///< of an EXIF block; 0: none
    bool cmyk = false;
    int quality = 85;
};

/// Writes the image, gray or RGB; as CMYK, with a fourth channel by formula.
inline std::vector<std::uint8_t> jpeg_of(const Image& image, const JpegLayout& layout = {}) {
    jpeg_compress_struct codec{};
    jpeg_error_mgr errors{};
    codec.err = jpeg_std_error(&errors);
    jpeg_create_compress(&codec);
    unsigned char* out = nullptr;
    unsigned long size = 0;
    jpeg_mem_dest(&codec, &out, &size);
    codec.image_width = static_cast<JDIMENSION>(image.width);
    codec.image_height = static_cast<JDIMENSION>(image.height);
    codec.input_components = layout.cmyk ? 4 : image.channels;
    codec.in_color_space = layout.cmyk ? JCS_CMYK : image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&codec);
    jpeg_set_quality(&codec, layout.quality, TRUE);
    if (image.channels == 3 && !layout.cmyk) {
        codec.comp_info[0].h_samp_factor = layout.across;
        codec.comp_info[0].v_samp_factor = layout.down;
    }
    codec.optimize_coding = layout.optimized ? TRUE : FALSE;
    codec.arith_code = layout.arithmetic ? TRUE : FALSE;
    codec.restart_in_rows = layout.restart_rows;
    codec.restart_interval = static_cast<unsigned>(layout.restart_blocks);
    if (layout.progressive) jpeg_simple_progression(&codec);
    std::array<jpeg_scan_info, 3> scans{};
    if (layout.one_scan_each) {
        for (int c = 0; c < image.channels; ++c)
            scans[static_cast<std::size_t>(c)] = {.comps_in_scan = 1, .component_index = {c, 0, 0, 0}, .Ss = 0, .Se = 63, .Ah = 0, .Al = 0};
        codec.scan_info = scans.data();
        codec.num_scans = image.channels;
    }
    jpeg_start_compress(&codec, TRUE);
    if (layout.orientation > 0) {
        std::array<std::uint8_t, 32> exif{'E', 'x', 'i', 'f', 0, 0, 'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1};
        exif[24] = static_cast<std::uint8_t>(layout.orientation);
        jpeg_write_marker(&codec, JPEG_APP0 + 1, exif.data(), exif.size());
    }
    std::vector<std::uint8_t> inks(static_cast<std::size_t>(image.width) * 4);
    while (codec.next_scanline < codec.image_height) {
        auto* row = const_cast<std::uint8_t*>(image.at(0, static_cast<int>(codec.next_scanline)));
        if (layout.cmyk) {
            for (int x = 0; x < image.width; ++x)
                for (int c = 0; c < 4; ++c)
                    inks[static_cast<std::size_t>(4 * x + c)] =
                        c < 3 ? row[x * image.channels + c % image.channels] : static_cast<std::uint8_t>(255 - x);
            row = inks.data();
        }
        jpeg_write_scanlines(&codec, &row, 1);
    }
    jpeg_finish_compress(&codec);
    jpeg_destroy_compress(&codec);
    std::vector<std::uint8_t> bytes(out, out + size);
    std::free(out);
    return bytes;
}

}  // namespace doppel::test
#endif
