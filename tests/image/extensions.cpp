// SPDX-License-Identifier: Apache-2.0
#include <doppel/image/extensions.hpp>

#include "support/support.hpp"

#include <set>

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

TEST_CASE("extensions belong to one format each, and those of formats that the build lacks are others") {
    std::set<std::string_view> all(image::other_image_extensions.begin(), image::other_image_extensions.end());
    std::size_t count = all.size();
    for (const auto& info : image::formats) {
        CHECK(&info == &image::info_of(info.format));
        CHECK(image::why_unreadable(info.format).empty() == info.readable);
        CHECK((image::readable_formats.find(info.name) != std::string::npos) == info.readable);
        for (const auto extension : info.extensions) {
            if (extension.empty()) continue;
            ++count;
            all.insert(extension);
            CHECK(image::is_readable_extension(extension) == info.readable);
            CHECK(image::is_other_image_extension(extension) == !info.readable);
        }
    }
    CHECK(all.size() == count);
}
