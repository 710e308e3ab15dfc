// SPDX-License-Identifier: Apache-2.0
#include <doppel/augment/source.hpp>

#include "support/support.hpp"

using namespace doppel;

TEST_CASE("a source is a whole image, or the decoded part of one") {
    const Image photo(6, 4, 3);
    const augment::Source whole = photo;
    CHECK(whole.whole());
    CHECK((whole.pixels == &photo && whole.width == 6 && whole.height == 4));
    const augment::Source part(photo, {10, 20, 6, 4}, 100, 80);
    CHECK(!part.whole());
    CHECK((part.width == 100 && part.at == image::Rect{10, 20, 6, 4}));
}
