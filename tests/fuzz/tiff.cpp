// SPDX-License-Identifier: Apache-2.0
// Any bytes, read as a TIFF file, give an image or a one-line Error.
#include "decode.hpp"

using namespace doppel::fuzz;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes bytes(data, size);
    std::size_t sides[2] = {};  // the largest that any directory may have
    for (std::size_t at = 0; at + 16 <= size; ++at)
        for (const bool little : {true, false}) {
            const auto number = [&](std::size_t offset, std::size_t count) {
                return little ? little_endian(bytes, at + offset, count) : big_endian(bytes, at + offset, count);
            };
            const std::size_t tag = number(0, 2);
            if (tag != 256 && tag != 257) continue;
            for (const std::size_t value : {number(8, 2), number(8, 4), number(12, 2), number(12, 4)})
                if (value <= std::size_t{1} << 28) sides[tag - 256] = std::max(sides[tag - 256], value);
        }
    if (sides[0] * sides[1] > std::size_t{1} << 16) return 0;
    decodes(bytes);
    decodes_samples({data, size});
    return 0;
}
