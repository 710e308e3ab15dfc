// SPDX-License-Identifier: Apache-2.0
// Any bytes, read as a BMP file, give an image or a one-line Error.
#include "decode.hpp"

#include <cstdlib>

using namespace doppel::fuzz;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes bytes(data, size);
    if (size >= 26) {
        const auto side = [&](std::size_t at) {
            const auto value = static_cast<std::int32_t>(little_endian(bytes, at, 4));
            return static_cast<std::size_t>(std::llabs(value));
        };
        const bool core = data[14] == 12;
        if (core ? slow(little_endian(bytes, 18, 2), little_endian(bytes, 20, 2)) : slow(side(18), side(22))) return 0;
    }
    decodes(bytes);
    return 0;
}
