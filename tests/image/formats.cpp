// SPDX-License-Identifier: Apache-2.0
#include <doppel/image/extensions.hpp>
#include <doppel/image/formats.hpp>

#include "support/support.hpp"

#include <set>

using namespace doppel;

TEST_CASE("images are recognized by their first bytes, text that begins like one is not") {
    const auto text = [](std::string_view t) { return std::vector<std::uint8_t>(t.begin(), t.end()); };
    CHECK_FALSE(image::looks_like_image(text("RIFF....WAVE")));
    CHECK_FALSE(image::looks_like_image(text("RIFF....WEB")));
    CHECK_FALSE(image::looks_like_image(text("\xFF\xD8")));
    CHECK_FALSE(image::looks_like_image({}));
    CHECK_FALSE(image::looks_like_image(text("BM stands for bitmap, in this text")));
    CHECK_FALSE(image::looks_like_image(text("P5 is a kind of PGM")));
    CHECK_FALSE(image::looks_like_image(text("P51 2 2 255")));
    CHECK_FALSE(image::looks_like_image(text({"II*\0\x10\0\0\0CR\2\0", 12})));
    CHECK(image::format_of(text("P3\n# a comment")) == image::Format::ppm);
    CHECK(image::format_of(text({"MM\0+", 4})) == image::Format::tiff);
    CHECK(image::format_of(text("RIFF....WEBP")) == image::Format::webp);
}

TEST_CASE("extensions belong to one format each, and those of formats that the build lacks are others") {
    std::set<std::string_view> all(image::other_image_extensions.begin(), image::other_image_extensions.end());
    std::size_t count = all.size();
    for (const auto& info : image::formats) {
        CHECK(&info == &image::info_of(info.format));
        CHECK(image::why_unreadable(info).empty() == info.readable);
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
