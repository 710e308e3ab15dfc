// SPDX-License-Identifier: Apache-2.0
// Any bytes, read as a GIF file, give an image or a one-line Error.
#include "decode.hpp"

using namespace doppel::fuzz;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes bytes(data, size);
    if (size >= 10) {
        std::size_t width = little_endian(bytes, 6, 2), height = little_endian(bytes, 8, 2);
        for (std::size_t at = 10; at + 9 <= size; ++at)  // descriptors: comma, left, top, width, height
            if (data[at] == ',') {
                width = std::max(width, little_endian(bytes, at + 1, 2) + little_endian(bytes, at + 5, 2));
                height = std::max(height, little_endian(bytes, at + 3, 2) + little_endian(bytes, at + 7, 2));
            }
        if (width * height > std::size_t{1} << 16) return 0;
    }
    decodes(bytes);
    return 0;
}
