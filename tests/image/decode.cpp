// SPDX-License-Identifier: Apache-2.0
#include <doppel/image/decode.hpp>
#include <doppel/image/detail/exif.hpp>
#include <doppel/image/encode.hpp>

#include "support/images.hpp"
#include "support/support.hpp"

#include <map>

using namespace doppel;
using Bytes = std::vector<std::uint8_t>;
using test::gradient;
using test::mentions;
using test::message_of;
using test::readable;

namespace {

struct Fixture {
    Bytes file;
    Image pixels;
};

/// tests/reference/images.txt: files and the pixels that Pillow reads from them.
const std::map<std::string, Fixture>& fixtures() {
    static const auto all = [] {
        std::map<std::string, Fixture> found;
        for (const auto& words : test::fixture_lines("images.txt")) {  // name, width, height, channels, file, pixels
            Image image(std::stoi(words.at(1)), std::stoi(words.at(2)), std::stoi(words.at(3)));
            image.pixels = test::bytes_of_hex(words.at(5));
            found[words.at(0)] = {test::bytes_of_hex(words.at(4)), image};
        }
        return found;
    }();
    return all;
}

}  // namespace

TEST_CASE("every format gives the very pixels that Pillow gives") {
    REQUIRE(fixtures().size() == 33);
    for (const auto& [name, fixture] : fixtures()) {
        CAPTURE(name);
        CHECK(image::looks_like_image(fixture.file));
        if (readable(name))
            CHECK(image::decode(fixture.file, name) == fixture.pixels);
        else
            CHECK(mentions(message_of([&] { image::decode(fixture.file, name); }),
                           {name, "this build has no", "install lib"}));
    }
}

TEST_CASE("a truncated file is an error that names it, wherever it ends") {
    for (const auto& [name, fixture] : fixtures()) {
        if (!readable(name)) continue;
        CAPTURE(name);
        for (std::size_t size = 0; size < fixture.file.size(); size += 1 + size / 40) {
            CAPTURE(size);
            const auto cut = std::span(fixture.file).first(size);
            // The picture of a WebP stands before its other chunks, so it may be there whole.
            const auto message = message_of([&] {
                if (image::decode(cut, name) == fixture.pixels && name.starts_with("webp_orientation"))
                    fail("decode: ", name);
            });
            CHECK(message.starts_with("decode: " + name));
            CHECK(message.find('\n') == std::string::npos);
        }
    }
}

TEST_CASE("damaged bytes end in an image or in one line of error, never in a crash") {
    std::uint32_t random = 1;
    int errors = 0, images = 0;
    for (const auto& [name, fixture] : fixtures()) {
        if (!readable(name)) continue;
        for (int trial = 0; trial < 60; ++trial) {
            Bytes damaged = fixture.file;
            for (int i = 0; i < 3; ++i) {
                random = random * 1664525 + 1013904223;
                // From byte 30 on: before it stand magic numbers and, in WebP, a size that makes a large black canvas.
                damaged[30 + (random >> 8) % (damaged.size() - 30)] ^= static_cast<std::uint8_t>(1 << (random & 7));
            }
            const auto message = message_of([&] {
                const Image image = image::decode(damaged, name);
                images += image.channels == 1 || image.channels == 3;
            });
            if (message.empty()) continue;
            CHECK(message.starts_with("decode: " + name + ": "));
            CHECK(message.find('\n') == std::string::npos);
            ++errors;
        }
    }
    if (readable("jpeg")) {  // whose damage shows itself only now and then
        CHECK(errors > 100);
        CHECK(images > 100);
    }
}

TEST_CASE("sizes that no image has are refused before memory is taken for them") {
#if DOPPEL_PNG
    Bytes png = image::encode_png(gradient(4, 4, 1));
    png[16] = png[20] = 0x40;  // 2^30 + 4 pixels a side; the checksum of the header follows
    const std::uint32_t check = static_cast<std::uint32_t>(crc32_z(0, png.data() + 12, 17));
    for (std::size_t i = 0; i < 4; ++i) png[29 + i] = static_cast<std::uint8_t>(check >> (24 - 8 * i));
    CHECK(mentions(message_of([&] { image::decode(png, "huge.png"); }),
                   {"huge.png", "1073741828 x 1073741828", "expected at most"}));
#endif
#if DOPPEL_PNG
    // A chunk that claims 2 GiB: libpng would take and clear them before it looks for the data.
    Bytes claims = image::encode_png(gradient(4, 4, 1));
    const Bytes name = {'I', 'D', 'A', 'T'};
    auto chunk = std::search(claims.begin(), claims.end(), name.begin(), name.end());
    REQUIRE(chunk != claims.end());
    chunk[-4] = 0x7F;
    CHECK(mentions(message_of([&] { image::decode(claims, "claims.png"); }), {"claims.png", "ends too early"}));
#endif
#if DOPPEL_JPEG
    Bytes jpeg = image::encode_jpeg(gradient(8, 8, 1), 90);
    const Bytes start = {0xFF, 0xC0, 0, 11, 8};
    auto size = std::search(jpeg.begin(), jpeg.end(), start.begin(), start.end());
    REQUIRE(size != jpeg.end());
    size[5] = size[7] = 0xFF;
    CHECK(mentions(message_of([&] { image::decode(jpeg, "huge.jpg"); }),
                   {"huge.jpg", "65288 x 65288", "expected at most"}));
#endif
}

TEST_CASE("what is not an image is said not to be one") {
    const auto text = [](std::string_view t) { return Bytes(t.begin(), t.end()); };
    CHECK(mentions(message_of([&] { image::decode(text("GIF89a......"), "a.gif"); }),
                   {"a.gif", "not an image", "JPEG, PNG or WebP"}));
    CHECK(mentions(message_of([&] { image::decode({}, "empty"); }), {"empty", "no bytes"}));
    CHECK_FALSE(image::looks_like_image(text("RIFF....WAVE")));
    CHECK_FALSE(image::looks_like_image(text("RIFF....WEB")));
    CHECK_FALSE(image::looks_like_image(text("\xFF\xD8")));
    CHECK_FALSE(image::looks_like_image({}));
    CHECK(image::format_of(text("RIFF....WEBP")) == image::Format::webp);
}

TEST_CASE("read names the path and the reason when there is no such file") {
    const test::TemporaryFolder folder;
    CHECK(mentions(message_of([&] { image::read(folder / "no.png"); }), {"no.png", "No such file"}));
    CHECK(mentions(message_of([&] { image::read(folder.path()); }), {folder.path().string(), "cannot read"}));
    test::write_bytes(folder / "text.jpg", "not an image");
    CHECK(mentions(message_of([&] { image::read(folder / "text.jpg"); }), {"text.jpg", "not an image"}));
}

TEST_CASE("surplus bytes after the pixels of a JPEG do no harm, missing ones do") {
#if DOPPEL_JPEG
    const Bytes jpeg = image::encode_jpeg(gradient(16, 16, 3), 90);
    Bytes longer = jpeg;
    longer.insert(longer.end() - 2, 5, 0x55);
    CHECK(image::decode(longer, "longer") == image::decode(jpeg, "jpeg"));
    Bytes shorter = jpeg;
    shorter.erase(shorter.end() - 12, shorter.end() - 2);
    CHECK(mentions(message_of([&] { image::decode(shorter, "shorter"); }), {"shorter", "JPEG", "premature end"}));
#endif
}

TEST_CASE("an EXIF block that is damaged leaves the image as stored") {
    const Bytes whole = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0};
    CHECK(image::detail::orientation(whole) == 6);
    const Bytes motorola = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 8, 0, 0};
    CHECK(image::detail::orientation(motorola) == 8);
    for (std::size_t size = 0; size < 20; ++size) CHECK(image::detail::orientation(std::span(whole).first(size)) == 1);
    for (std::size_t at : {0u, 2u, 4u, 10u, 12u, 14u, 18u}) {
        Bytes other = whole;
        other[at] = 0xEE;
        CHECK(image::detail::orientation(other) == 1);
    }
}

TEST_CASE("a name that is no text stays one line, and one that is not ASCII is kept") {
    CHECK(message_of([] { image::decode(Bytes{1, 2, 3}, "a\nb\x1b[31m.png"); }).starts_with("decode: a?b?[31m.png: not an image"));
    CHECK(mentions(message_of([] { image::decode(Bytes{}, "größe.png"); }), {"größe.png"}));
}
