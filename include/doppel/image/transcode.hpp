// SPDX-License-Identifier: Apache-2.0
// Writes a JPEG anew without changing its pixels, so that regions of it are quick to decode.
#pragma once

#include <doppel/core/error.hpp>
#if DOPPEL_JPEG
#include <doppel/image/detail/jpeg.hpp>
#endif

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>
#include <vector>

namespace doppel::image {

namespace detail {

#if DOPPEL_JPEG
/// Reads the coefficients of a JPEG and writes them to another.
class JpegTranscoder {
public:
    JpegTranscoder() {
        from_.err = to_.err = &errors_.manager;
        from_.client_data = to_.client_data = &errors_;
    }
    ~JpegTranscoder() {
        jpeg_destroy_compress(&to_);
        jpeg_destroy_decompress(&from_);
        std::free(bytes_);
    }
    JpegTranscoder(const JpegTranscoder&) = delete;
    JpegTranscoder& operator=(const JpegTranscoder&) = delete;

    std::vector<std::uint8_t> transcode(std::span<const std::uint8_t> bytes, std::string_view name) {
        errors_.may_end = true;
        if (!errors_.completes([&] {
                jpeg_create_decompress(&from_);
                jpeg_mem_src(&from_, const_cast<unsigned char*>(bytes.data()), static_cast<unsigned long>(bytes.size()));
                jpeg_save_markers(&from_, JPEG_APP0 + 1, 0xFFFF);
                jpeg_read_header(&from_, TRUE);
                const int turned = orientation_marked(from_);
                auto* const coefficients = jpeg_read_coefficients(&from_);
                jpeg_create_compress(&to_);
                jpeg_mem_dest(&to_, &bytes_, &size_);
                jpeg_copy_critical_parameters(&from_, &to_);
                to_.optimize_coding = TRUE;
                to_.restart_in_rows = 1;
                jpeg_write_coefficients(&to_, coefficients);
                if (turned > 1) {
                    const auto exif = exif_of(turned);
                    jpeg_write_marker(&to_, JPEG_APP0 + 1, exif.data(), static_cast<unsigned>(exif.size()));
                }
                jpeg_finish_compress(&to_);
                jpeg_finish_decompress(&from_);
            }))
            fail("restartable_jpeg: ", name, ": damaged or unsupported JPEG: ", errors_.message);
        return {bytes_, bytes_ + size_};
    }

private:
    JpegErrors errors_;
    jpeg_decompress_struct from_{};
    jpeg_compress_struct to_{};
    unsigned char* bytes_ = nullptr;
    unsigned long size_ = 0;
};
#endif

}  // namespace detail

/// Returns a JPEG of the very pixels, of one sequential scan with a restart marker after each row of blocks and with Huffman
/// codes of its own: decode_region reads only the rows that it needs, if the file is trusted. Keeps the orientation and no
/// other metadata. Throws Error for what is no intact JPEG, for one of more data than a scan can hold, and in a build without
/// libjpeg-turbo.
///
///     io::write_atomically("photo.jpg", image::restartable_jpeg(bytes, "photo.jpg"));
inline std::vector<std::uint8_t> restartable_jpeg([[maybe_unused]] std::span<const std::uint8_t> bytes, std::string_view name) {
#if DOPPEL_JPEG
    return detail::JpegTranscoder().transcode(bytes, name);
#else
    fail("restartable_jpeg: ", name, ": this build has no JPEG support: install libjpeg-turbo and rebuild");
#endif
}

}  // namespace doppel::image
