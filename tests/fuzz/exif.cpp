// SPDX-License-Identifier: Apache-2.0
// Any bytes, read as an EXIF block, give an orientation from 1 to 8, and every orientation can be undone.
#include <doppel/image/detail/exif.hpp>

#include "fuzz.hpp"

#include <array>
#include <vector>

using namespace doppel;
using namespace doppel::fuzz;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::string_view prefix("Exif\0\0", 6);
    const Bytes bytes(data, size);
    const int turned = image::detail::orientation(bytes);
    expect(turned >= 1 && turned <= 8, "an orientation that is not from 1 to 8");

    std::vector<std::uint8_t> longer(prefix.begin(), prefix.end());
    longer.insert(longer.end(), bytes.begin(), bytes.end());
    if (!text_of(bytes).starts_with(prefix))
        expect(image::detail::orientation(longer) == turned, "JPEG's prefix changes the orientation");

    Image image(2 + static_cast<int>(size % 2), 1 + static_cast<int>(size % 3), size % 5 == 0 ? 3 : 1);
    std::iota(image.pixels.begin(), image.pixels.end(), std::uint8_t{1});
    const Image seen = image::detail::oriented(image, turned);
    expect_whole(seen);
    expect(seen.width == (turned >= 5 ? image.height : image.width), "a turned image of the wrong width");
    constexpr std::array undo{1, 2, 3, 4, 5, 8, 7, 6};
    expect(image::detail::oriented(seen, undo[static_cast<std::size_t>(turned - 1)]) == image,
           "an orientation that cannot be undone");
    return 0;
}
