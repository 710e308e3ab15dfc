// SPDX-License-Identifier: Apache-2.0
#include <doppel/image/decode16.hpp>
#include <doppel/image/encode.hpp>

#include "support/images.hpp"
#include "support/support.hpp"
#include "support/tiffs.hpp"

#include <map>
#include <random>

using namespace doppel;
using image::Image16;
using test::mentions;
using test::message_of;
using Bytes = std::vector<std::uint8_t>;

namespace {

std::vector<std::uint16_t> some_samples(const test::TiffLayout& o) {
    std::minstd_rand random(1);
    std::vector<std::uint16_t> values(static_cast<std::size_t>(o.width * o.height * o.samples));
    for (auto& value : values) value = static_cast<std::uint16_t>(random() & (o.bits == 8 ? 0xFF : 0xFFFF));
    return values;
}

}  // namespace

TEST_CASE("files of 16 bits give the very samples, whatever their format") {
    std::map<std::string, Bytes> files;
    for (const auto& words : test::fixture_lines("images.txt")) files[words.at(0)] = test::bytes_of_hex(words.at(4));
    // The samples stand in the PPM files as they are, in big-endian order.
    const auto expected = [&](const std::string& name, int channels) {
        const auto& file = files.at(name);
        Image16 image{19, 13, channels, {}};
        const auto count = static_cast<std::size_t>(19 * 13 * channels);
        for (std::size_t i = file.size() - 2 * count; i < file.size(); i += 2)
            image.samples.push_back(static_cast<std::uint16_t>(file[i] << 8 | file[i + 1]));
        return image;
    };
    const Image16 color = expected("ppm_rgb_16_bit", 3), gray = expected("ppm_gray_16_bit", 1);
    Image16 inverted = gray;
    for (auto& sample : inverted.samples) sample = static_cast<std::uint16_t>(65535 - sample);
    int read = 0;
    for (const auto& [name, file] : files) {
        if (name.find("16_bit") == name.npos) continue;
        CAPTURE(name);
        if (!image::info_of(*image::format_of(file)).readable) continue;
        const Image16 image = image::decode16(file, name);
        if (name.find("white_is_0") != name.npos)
            CHECK(image == inverted);
        else
            CHECK(image == (name.find("rgb") != name.npos ? color : gray));
        CHECK(image::window(image, 0, 65535) == image::decode(file, name));
        ++read;
    }
    CHECK(read >= 2);
}

TEST_CASE("a file of other samples is an error that says so, a damaged one is a damaged image") {
    const auto file = image::encode_png(test::gradient(8, 8, 1));
    CHECK(mentions(message_of([&] { image::decode16(file, "a.png"); }), {"decode16: a.png has no samples of 16 bits", "image::decode"}));
    CHECK_THROWS_AS(image::decode16(Bytes{1, 2, 3}, "a"), DamagedImage);
    CHECK_THROWS_AS(image::read16("/no/such.png"), UnreadableImage);
    // --window leaves such files as they are.
    CHECK(image::decode_samples(file, "a.png", {.window = image::SampleWindow{10, 20}}) == test::gradient(8, 8, 1));
    const std::string text = "P5 2 2 65535\nabcdefg";
    CHECK_THROWS_AS(image::decode16(Bytes(text.begin(), text.end()), "a.pgm"), DamagedImage);
}

TEST_CASE("a TIFF file gives all of its bands where they are asked for") {
#if DOPPEL_TIFF
    for (const int bits : {8, 16})
        for (const int samples : {1, 2, 3, 4, 5, 12, 16})
            for (const bool separate : {false, true})
                for (const int tile : {0, 16})
                    for (const int photometric : {1, 2}) {
                        if (photometric == 2 && samples < 3) continue;
                        test::TiffLayout o{.width = 21, .height = 19, .samples = samples, .bits = bits, .separate = separate, .tile = tile, .photometric = photometric};
                        CAPTURE(bits, samples, separate, tile, photometric);
                        const auto values = some_samples(o);
                        const auto file = test::tiff_of(values, o);
                        const Image image = image::decode_samples(file, "a.tif", {.bands = true});
                        REQUIRE(image.shape() == Shape{21, 19, samples});
                        bool same = true, windowed = true;
                        const image::SampleWindow window{1000, 9000};
                        for (std::size_t i = 0; i < values.size(); ++i)
                            same = same && image.pixels[i] == (bits == 8 ? values[i] : (values[i] + 128) / 257);
                        CHECK(same);
                        if (bits == 8) continue;
                        const Image shown = image::decode_samples(file, "a.tif", {.window = window, .bands = true});
                        for (std::size_t i = 0; i < values.size(); ++i) windowed = windowed && shown.pixels[i] == window(values[i]);
                        CHECK(windowed);
                        const Image16 few = image::decode16(file, "a.tif");  // without bands: gray or RGB
                        CHECK(few.channels == (photometric == 2 ? 3 : 1));
                        CHECK(few.samples[static_cast<std::size_t>(few.channels)] == values[static_cast<std::size_t>(samples)]);
                    }
    test::TiffLayout turned{.width = 3, .height = 2, .samples = 4, .orientation = 6};
    const auto values = some_samples(turned);
    const Image image = image::decode_samples(test::tiff_of(values, turned), "a.tif", {.bands = true});
    CHECK(image.shape() == Shape{2, 3, 4});
    CHECK(image.at(1, 0)[2] == values[2]);  // the upper left pixel is at the upper right now
    test::TiffLayout many{.samples = 17};
    CHECK(mentions(message_of([&] { image::decode_samples(test::tiff_of(some_samples(many), many), "a.tif", {.bands = true}); }),
                   {"a.tif", "17 samples per pixel, expected 1 to 16"}));
    test::TiffLayout nine{.samples = 9};
    CHECK(mentions(message_of([&] { image::decode(test::tiff_of(some_samples(nine), nine), "a.tif"); }), {"9 samples", "--channels 9 reads all"}));
#endif
}

TEST_CASE("a truncated file of bands is a damaged image") {
#if DOPPEL_TIFF
    for (const int tile : {0, 16}) {
        const test::TiffLayout o{.width = 40, .height = 30, .samples = 6, .bits = 16, .tile = tile};
        auto file = test::tiff_of(some_samples(o), o);
        // The directory stays, an offset points beyond the end.
        const auto directory = static_cast<std::size_t>(file[4] | file[5] << 8 | file[6] << 16);
        bool changed = false;
        for (std::size_t at = directory + 2; at + 12 <= file.size(); at += 12)
            if (const int tag = file[at] | file[at + 1] << 8; tag == 273 || tag == 324) {
                const auto list = static_cast<std::size_t>(file[at + 8] | file[at + 9] << 8 | file[at + 10] << 16);
                file[list + 2] = 0x7F;
                changed = true;
            }
        REQUIRE(changed);
        CHECK_THROWS_AS(image::decode_samples(file, "a.tif", {.bands = true}), DamagedImage);
    }
#endif
}
