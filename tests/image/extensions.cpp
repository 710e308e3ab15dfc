// SPDX-License-Identifier: Apache-2.0
#include <doppel/image/extensions.hpp>

#include "support/support.hpp"

using namespace doppel;

TEST_CASE("extensions are compared in lower case, and no extension is in both lists") {
    CHECK(image::extension_of("Photo.JPG") == ".jpg");
    CHECK(image::extension_of("a.tar.Png") == ".png");
    CHECK(image::extension_of("größe").empty());
    CHECK(image::extension_of(".png").empty());  // a hidden file's name
    for (const auto extension : image::other_image_extensions) CHECK(!image::is_readable_extension(extension));
    CHECK(image::is_other_image_extension(".heic"));
    CHECK(!image::is_readable_extension(".txt"));
    CHECK(!image::is_readable_extension(""));
    CHECK(!image::is_other_image_extension(".txt"));
}
