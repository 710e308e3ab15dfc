// SPDX-License-Identifier: Apache-2.0
#include <doppel/image/write_png.hpp>

#include "support/images.hpp"
#include "support/support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("write_png writes the encoded image whole, under any name, and names what it cannot write") {
    const TemporaryFolder folder;
    const Image image = gradient(30, 20, 3);
    image::write_png(folder / "Ünï.png", image);
    CHECK(read_bytes(folder / "Ünï.png") == image::encode_png(image));
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);  // no temporary file is left
    CHECK(mentions(message_of([&] { image::write_png(folder / "none" / "a.png", image); }), {"a.png", "No such file"}));
}
