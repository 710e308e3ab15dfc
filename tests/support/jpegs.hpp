// SPDX-License-Identifier: Apache-2.0
// JPEG files of every layout, written by libjpeg.
#pragma once

#if DOPPEL_JPEG
#include <doppel/image/detail/exif.hpp>
#include <doppel/image/image.hpp>

#include "support/images.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
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
        const auto exif = image::detail::exif_of(layout.orientation);
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

/// A file of each kind, by name.
inline const std::map<std::string, std::vector<std::uint8_t>>& jpeg_kinds() {
    static const auto all = [] {
        std::map<std::string, std::vector<std::uint8_t>> files;
        const auto add = [&](const std::string& name, const Image& image, const JpegLayout& layout) {
            files[name] = jpeg_of(image, layout);
        };
        const Image color = busy(83, 61, 3), even = busy(96, 64, 3), gray = busy(83, 61, 1);
        for (const auto& [across, down] : {std::pair(1, 1), std::pair(2, 1), std::pair(1, 2), std::pair(2, 2), std::pair(4, 1)}) {
            const std::string name = "sampled " + std::to_string(across) + "x" + std::to_string(down);
            add(name, color, {.across = across, .down = down});
            add(name + ", whole blocks", even, {.across = across, .down = down});
            add(name + ", a restart marker per row", color, {.across = across, .down = down, .restart_rows = 1});
            add(name + ", restart markers", color, {.across = across, .down = down, .restart_blocks = 3});
        }
        add("gray", gray, {});
        add("gray, a restart marker per row", gray, {.restart_rows = 1});
        add("gray, restart markers", gray, {.restart_blocks = 2});
        add("optimized", color, {.optimized = true});
        add("progressive", color, {.progressive = true});
        add("a scan each", color, {.one_scan_each = true});
        add("arithmetic", color, {.arithmetic = true});
        add("CMYK", color, {.cmyk = true});
        for (const int width : {1, 2, 3, 15, 17}) add("narrow " + std::to_string(width), busy(width, 40, 3), {});
        for (const int height : {1, 2, 3, 15, 17}) add("low " + std::to_string(height), busy(40, height, 3), {});
        for (int turned = 1; turned <= 8; ++turned) {
            add("orientation " + std::to_string(turned), busy(37, 25, 3), {.orientation = turned});
            add("gray, orientation " + std::to_string(turned), busy(37, 65, 1), {.restart_rows = 1, .orientation = turned});
        }
        add("tall", busy(40, 300, 3), {.restart_rows = 1});
        return files;
    }();
    return all;
}

}  // namespace doppel::test
#endif
