// SPDX-License-Identifier: Apache-2.0
#include <doppel/image/decode.hpp>
#include <doppel/image/detail/exif.hpp>
#include <doppel/image/encode.hpp>
#include <doppel/image/formats.hpp>

#include "support/images.hpp"
#include "support/support.hpp"

#include <algorithm>
#include <cctype>
#include <map>

using namespace doppel;
using Bytes = std::vector<std::uint8_t>;
using test::gradient;
using test::mentions;
using test::message_of;

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
            const auto& pixels = words.at(5);
            image.pixels = pixels.starts_with('=') ? found.at(pixels.substr(1)).pixels.pixels : test::bytes_of_hex(pixels);
            found[words.at(0)] = {test::bytes_of_hex(words.at(4)), image};
        }
        return found;
    }();
    return all;
}

bool readable(const Fixture& fixture) { return image::info_of(*image::format_of(fixture.file)).readable; }

}  // namespace

TEST_CASE("every format gives the very pixels that Pillow gives") {
    REQUIRE(fixtures().size() == 87);
    for (const auto& [name, fixture] : fixtures()) {
        CAPTURE(name);
        const auto format = image::format_of(fixture.file);
        REQUIRE(format);
        std::string word(image::info_of(*format).name);
        for (char& c : word) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        CHECK(name.starts_with(word));
        if (readable(fixture)) {
            const Image image = image::decode(fixture.file, name);
            CHECK(image == fixture.pixels);
            CHECK(image.note.empty());
        } else {
            CHECK(mentions(message_of([&] { image::decode(fixture.file, name); }),
                           {name, "this build has no", "install "}));
        }
    }
}

TEST_CASE("a truncated file gives all its pixels or an error that names it, wherever it ends") {
    for (const auto& [name, fixture] : fixtures()) {
        if (!readable(fixture) || name == "ppm_text_10_bit") continue;  // where the last number may be shorter
        CAPTURE(name);
        for (std::size_t size = 0; size < fixture.file.size(); size += 1 + size / 40) {
            CAPTURE(size);
            const auto cut = std::span(fixture.file).first(size);
            const auto message = message_of([&] {
                const Image image = image::decode(cut, name);
                CHECK(image == fixture.pixels);
            });
            if (message.empty()) continue;
            CHECK(message.starts_with("decode: " + name));
            CHECK(message.find('\n') == std::string::npos);
        }
    }
}

TEST_CASE("JPEG files without an end marker are used when all rows are there, and say so") {
#if DOPPEL_JPEG
    for (const auto& [name, fixture] : fixtures()) {
        if (!name.starts_with("jpeg")) continue;
        CAPTURE(name);
        const auto& file = fixture.file;
        for (std::size_t missing : {1u, 2u}) {
            const Image image = image::decode(std::span(file).first(file.size() - missing), name);
            CHECK(image == fixture.pixels);
            CHECK(mentions(image.note, {"decode: " + name, "without its end marker", "all rows are there"}));
        }
        for (std::size_t missing : {3u, 4u, 6u})  // the last bits of the image
            CHECK(mentions(message_of([&] { image::decode(std::span(file).first(file.size() - missing), name); }),
                           {name, "damaged"}));
    }
    // A progressive file that ends between two scans has all rows, but not all bits of them.
    const auto& progressive = fixtures().at("jpeg_progressive").file;
    int scans = 0;
    for (std::size_t at = 2; at + 1 < progressive.size(); ++at) {
        if (progressive[at] != 0xFF || progressive[at + 1] != 0xDA) continue;
        if (scans++ == 0) continue;  // before the first one there is no image
        const auto cut = std::span(progressive).first(at);
        CHECK(mentions(message_of([&] { image::decode(cut, "progressive"); }), {"progressive", "before its last scan"}));
    }
    CHECK(scans > 5);
#endif
}

TEST_CASE("PNG files with a damaged or missing end are used when all rows are there, and say so") {
#if DOPPEL_PNG
    for (const auto& [name, fixture] : fixtures()) {
        if (!name.starts_with("png")) continue;
        CAPTURE(name);
        const auto& file = fixture.file;
        for (std::size_t missing = 1; missing <= 12; ++missing) {  // IEND has 12 bytes
            const Image image = image::decode(std::span(file).first(file.size() - missing), name);
            CHECK(image == fixture.pixels);
            CHECK(mentions(image.note, {"decode: " + name, "PNG without an intact end", "all rows are there"}));
        }
        for (std::size_t missing : {13u, 16u, 17u, 30u})  // the checksum of the pixels, and pixels
            CHECK(mentions(message_of([&] { image::decode(std::span(file).first(file.size() - missing), name); }),
                           {name, "ends too early"}));
        Bytes damaged = file;
        damaged[file.size() - 2] ^= 1;  // the checksum of IEND
        CHECK(image::decode(damaged, name) == fixture.pixels);
        CHECK_FALSE(image::decode(damaged, name).note.empty());
        damaged[file.size() - 14] ^= 1;  // the checksum of the pixels
        CHECK(mentions(message_of([&] { image::decode(damaged, name); }), {name, "damaged"}));
    }
    // A chunk behind the pixels that claims 2 GiB: nothing is allocated for it.
    Bytes claims = image::encode_png(gradient(4, 4, 1));
    claims[claims.size() - 12] = 0x7F;
    CHECK(image::decode(claims, "claims.png") == gradient(4, 4, 1));
    CHECK_FALSE(image::decode(claims, "claims.png").note.empty());
#endif
}

TEST_CASE("damaged bytes end in an image or in one line of error, never in a crash") {
    std::uint32_t random = 1;
    int errors = 0, images = 0;
    for (const auto& [name, fixture] : fixtures()) {
        if (!readable(fixture)) continue;
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
    CHECK(errors > 50);
    CHECK(images > 100);
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

TEST_CASE("BMP files that contradict themselves are refused in one line") {
    const auto& file = fixtures().at("bmp_24").file;
    const auto with = [&](std::size_t at, std::initializer_list<std::uint8_t> bytes) {
        Bytes other = file;
        std::copy(bytes.begin(), bytes.end(), other.begin() + static_cast<std::ptrdiff_t>(at));
        return message_of([&] { image::decode(other, "a.bmp"); });
    };
    CHECK(mentions(with(18, {0, 0, 0, 0x40}), {"a.bmp: 1073741824 x 13 pixels", "expected at most"}));
    CHECK(mentions(with(18, {0, 0x10, 0, 0}), {"a.bmp: damaged", "ends too early for 4096 x 13"}));
    CHECK(mentions(with(18, {0xFF, 0xFF, 0xFF, 0xFF}), {"-1 x 13 pixels, expected at least 1 x 1"}));
    CHECK(mentions(with(22, {0, 0, 0, 0x80}), {"19 x 2147483648 pixels"}));
    CHECK(mentions(with(22, {0, 0, 0, 0}), {"19 x 0 pixels"}));
    CHECK(mentions(with(28, {2}), {"2 bits per pixel with compression 0"}));
    CHECK(mentions(with(30, {4}), {"24 bits per pixel with compression 4"}));
    CHECK(mentions(with(10, {0xFF, 0xFF}), {"the pixels start at byte 65535"}));
    CHECK(mentions(with(10, {20}), {"the pixels start at byte 20"}));
    // Numbers without a color are black.
    Bytes few = fixtures().at("bmp_os2").file;
    few.erase(few.begin() + 26 + 3, few.begin() + 26 + 768);
    few[10] = 29, few[11] = 0;
    const Image image = image::decode(few, "few.bmp");
    REQUIRE(image.channels == 3);
    CHECK(std::count(image.pixels.begin(), image.pixels.end(), 0) > 100);
}

TEST_CASE("PPM files that contradict themselves are refused in one line") {
    const auto refused = [](std::string_view file) {
        return message_of([&] { image::decode(Bytes(file.begin(), file.end()), "a.ppm"); });
    };
    CHECK(mentions(refused("P5 2 2 255 abc"), {"a.ppm: damaged PPM", "too early for 2 x 2"}));
    CHECK(mentions(refused("P5 2 2 256 abcdef"), {"too early for 2 x 2"}));
    CHECK(mentions(refused("P5 0 2 255 abc"), {"0 x 2 pixels, expected at least 1 x 1"}));
    CHECK(mentions(refused("P5 99999999999 2 255 abc"), {"the width is above 2147483647"}));
    CHECK(mentions(refused("P5 99999 99999 255 abc"), {"99999 x 99999 pixels, expected at most"}));
    CHECK(mentions(refused("P2 16000 16000 255 1 2 3"), {"too early for 16000 x 16000"}));
    CHECK(mentions(refused("P5 2 2 0 abcd"), {"the largest value is 0, expected 1 to 65535"}));
    CHECK(mentions(refused("P5 2 2 65536 abcd"), {"the largest value is above 65535"}));
    CHECK(mentions(refused("P5 2 -2 255 abcd"), {"another character than a digit", "expected the height"}));
    CHECK(mentions(refused("P5 2 2 255"), {"no pixels after the header"}));
    CHECK(mentions(refused("P5 2 2 # and no more"), {"ends too early, expected the largest value"}));
    CHECK(mentions(refused("P2 2 2 9 1 2 3 10"), {"a sample is above 9"}));
    CHECK(mentions(refused("P5 2 1 3 \1\4"), {"a sample is above the largest value 3"}));
    const std::string_view comments = "P2 #a\n2#b\n2 # c # d\n7#e\n0 7# f\n7\n0";
    CHECK(image::decode(Bytes(comments.begin(), comments.end()), "a.pgm").pixels == Bytes{0, 255, 255, 0});
}

TEST_CASE("GIF, TIFF and animated WebP files that cannot be used are refused in one line") {
#if DOPPEL_GIF
    Bytes gif = fixtures().at("gif_palette").file;
    gif[10] &= 0x7F;  // no palette: what follows is none of GIF's blocks
    CHECK(mentions(message_of([&] { image::decode(gif, "a.gif"); }), {"a.gif: damaged or unsupported GIF: "}));
    const std::string_view none("GIF89a\1\0\1\0\0\0\0;", 14);
    CHECK(mentions(message_of([&] { image::decode(Bytes(none.begin(), none.end()), "a.gif"); }), {"no picture in it"}));
#endif
#if DOPPEL_TIFF
    const auto with = [](std::uint8_t tag, std::uint8_t value) {  // of a little-endian file with the directory at byte 8
        Bytes tiff = fixtures().at("tiff_gray_16_bit_intel").file;
        for (std::size_t at = 10; at < 10 + 12 * std::size_t{tiff[8]}; at += 12)
            if (tiff[at] == tag) {
                if (tag == 3) tiff[at] = 254, tiff[at + 1] = 0;  // another tag in its place
                tiff[at + 8] = value;
            }
        return message_of([&] { image::decode(tiff, "a.tif"); });
    };
    CHECK(mentions(with(21, 9), {"a.tif", "TIFF with 9 samples per pixel, expected 1 to 5"}));
    CHECK(mentions(with(6, 99), {"a.tif: damaged or unsupported TIFF: "}));
    CHECK(mentions(with(3, 1), {"a.tif", "thumbnail"}));
#endif
#if DOPPEL_WEBP
    Bytes webp = fixtures().at("webp_animated_part").file;
    const Bytes name = {'A', 'N', 'M', 'F'};
    const auto frame = std::search(webp.begin(), webp.end(), name.begin(), name.end());
    REQUIRE(frame != webp.end());
    frame[8] = 5;  // 10 columns from the left, 11 wide, on a canvas of 19
    CHECK(mentions(message_of([&] { image::decode(webp, "a.webp"); }), {"a.webp", "first picture is invalid"}));
    frame[0] = 'X';
    CHECK(mentions(message_of([&] { image::decode(webp, "a.webp"); }), {"a.webp", "first picture is missing"}));
#endif
}

TEST_CASE("what is not an image is said not to be one") {
    const auto text = [](std::string_view t) { return Bytes(t.begin(), t.end()); };
    CHECK(mentions(message_of([&] { image::decode(text("%PDF-1.4...."), "a.gif"); }),
                   {"a.gif", "not an image", image::readable_formats}));
    CHECK(mentions(message_of([&] { image::decode({}, "empty"); }), {"empty", "no bytes"}));
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
