// SPDX-License-Identifier: Apache-2.0
// Any bytes, read as a JPEG file, give an image or a one-line Error.
#include "decode.hpp"

using namespace doppel::fuzz;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes bytes(data, size);
    for (std::size_t at = 0; at + 9 <= size; ++at)  // frame headers: marker, length, bits, height, width
        if (data[at] == 0xFF && data[at + 1] >= 0xC0 && data[at + 1] <= 0xCF &&
            slow(big_endian(bytes, at + 7, 2), big_endian(bytes, at + 5, 2)))
            return 0;
    decodes(bytes);
    return 0;
}
