// SPDX-License-Identifier: Apache-2.0
// Any bytes, read as a PNG file, give an image or a one-line Error; also when every chunk's checksum is put right.
#include "decode.hpp"

#include <vector>

#include <zlib.h>

using namespace doppel::fuzz;

namespace {

/// The chunks (length, name, data, checksum) with right checksums, as far as they are whole.
std::vector<std::uint8_t> with_checksums(Bytes png) {
    std::vector<std::uint8_t> mended(png.begin(), png.end());
    for (std::size_t at = 8; at + 12 <= mended.size();) {
        const std::size_t length = big_endian(mended, at, 4);
        if (length > mended.size() - at - 12) break;
        const auto check = crc32_z(0, mended.data() + at + 4, length + 4);
        for (std::size_t i = 0; i < 4; ++i)
            mended[at + 8 + length + i] = static_cast<std::uint8_t>(check >> (24 - 8 * i));
        at += 12 + length;
    }
    return mended;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes bytes(data, size);
    for (std::size_t at = 0; at + 12 <= size; ++at)
        if (text_of(bytes).substr(at, 4) == "IHDR" && slow(big_endian(bytes, at + 4, 4), big_endian(bytes, at + 8, 4)))
            return 0;
    decodes(bytes);
    const auto mended = with_checksums(bytes);
    if (!std::equal(mended.begin(), mended.end(), bytes.begin())) decodes(mended);
    decodes_samples({data, size});
    return 0;
}
