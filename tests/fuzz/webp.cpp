// SPDX-License-Identifier: Apache-2.0
// Any bytes, read as a WebP file, give an image or a one-line Error.
#include "decode.hpp"

#include <webp/decode.h>

using namespace doppel::fuzz;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    int width = 0, height = 0;
    if (WebPGetInfo(data, size, &width, &height) &&
        slow(static_cast<std::size_t>(width), static_cast<std::size_t>(height)))
        return 0;
    decodes({data, size});
    return 0;
}
