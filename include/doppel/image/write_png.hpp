// SPDX-License-Identifier: Apache-2.0
// Writes PNG files.
#pragma once

#include <doppel/image/encode.hpp>
#include <doppel/image/image.hpp>
#include <doppel/io/atomic_file.hpp>

#include <cstdint>
#include <filesystem>
#include <span>

namespace doppel::image {

/// Writes the image as a PNG file, atomically.
/// Throws Error with the path if it cannot be written.
inline void write_png(const std::filesystem::path& path, const Image& image) {
    const auto bytes = encode_png(image);
    io::write_atomically(path, std::span<const std::uint8_t>(bytes));
}

}  // namespace doppel::image
