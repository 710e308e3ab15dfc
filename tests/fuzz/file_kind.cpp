// SPDX-License-Identifier: Apache-2.0
// Any bytes are a kind of file, an image's if decode() knows the format.
#include <doppel/image/file_kind.hpp>

#include "fuzz.hpp"

using namespace doppel;
using namespace doppel::fuzz;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes bytes(data, size);
    const auto kind = image::file_kind(bytes);
    expect(kind.size() > 3 && kind.size() < 40, "a kind without a name");
    if (image::looks_like_image(bytes)) expect(kind.ends_with(" image"), "an image that is of another kind");
    expect((kind == "empty file") == bytes.empty(), "bytes that are none");
    return 0;
}
