// SPDX-License-Identifier: Apache-2.0
#include <doppel/image/sheet.hpp>

#include "support/support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("a sheet holds images in rows, with white between them and where there is none") {
    const Image black(8, 8, 3);
    Image gray(8, 8, 1);
    gray.at(7, 0)[0] = 90;
    const Image all = image::sheet({{black, gray}, {gray}}, 2);
    CHECK(all.width == 18);
    CHECK(all.height == 18);
    CHECK(all.at(7, 7)[0] == 0);
    for (int c = 0; c < 3; ++c) CHECK(all.at(17, 0)[c] == 90);
    CHECK(all.at(8, 0)[0] == 255);    // the gap
    CHECK(all.at(12, 12)[0] == 255);  // no image there
    CHECK(mentions(message_of([&] { image::sheet({{black, Image(4, 8, 3)}}); }), {"8 x 8", "4 x 8"}));
    CHECK(mentions(message_of([] { image::sheet({}); }), {"at least one image"}));
}
