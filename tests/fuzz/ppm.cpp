// SPDX-License-Identifier: Apache-2.0
// Any bytes, read as a PPM or PGM file, give an image or a one-line Error. No size is slow: the pixels must be there.
#include "decode.hpp"

using namespace doppel::fuzz;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0 || data[0] != 'P') return 0;  // another format
    decodes({data, size});
    decodes_samples({data, size});
    return 0;
}
