// SPDX-License-Identifier: Apache-2.0
#include <doppel/image/region.hpp>
#include <doppel/image/transcode.hpp>

#include "support/images.hpp"
#include "support/jpegs.hpp"
#include "support/support.hpp"

#include <algorithm>
#include <random>

using namespace doppel;
using image::Rect;
using test::mentions;
using test::message_of;
using Bytes = std::vector<std::uint8_t>;

TEST_CASE("a JPEG written anew has the same pixels, and so have all its regions") {
#if DOPPEL_JPEG
    std::minstd_rand random(1);
    Image into;
    for (const auto& [name, file] : test::jpeg_kinds()) {
        CAPTURE(name);
        const auto other = image::restartable_jpeg(file, name);
        const Image whole = image::decode(file, name);
        CHECK(image::decode(other, name) == whole);
        CHECK(image::shape_of(other) == whole.shape());
        CHECK(image::restartable_jpeg(other, name) == other);
        for (int i = 0; i < 25; ++i) {
            Rect part = test::random_part(random, whole.width, whole.height);
            if (i > 15) part.height = std::min(part.height, 3);
            CAPTURE(part.left, part.top, part.width, part.height);
            for (const bool trusted : {false, true}) {
                image::decode_region(other, name, part, into, {.trusted = trusted});
                REQUIRE(into == image::crop(whole, part));
            }
        }
    }
#endif
}

TEST_CASE("of a trusted file only the rows of the region are read") {
#if DOPPEL_JPEG
    for (const int channels : {1, 3}) {
        const Image whole = test::busy(90, 200, channels);
        const auto file = image::restartable_jpeg(test::jpeg_of(whole), "a.jpg");
        const Image pixels = image::decode(file, "a.jpg");
        const int high = channels == 1 ? 8 : 16;
        for (int row = 0; row * high + high <= whole.height; ++row) {
            const Rect part{7, row * high, 40, high};
            Bytes damaged = file;  // all rows but this one and its neighbors hold no bits
            int number = 0;
            const Bytes scan{0xFF, 0xDA};
            auto at = static_cast<std::size_t>(std::search(file.begin(), file.end(), scan.begin(), scan.end()) - file.begin());
            for (at += std::size_t{2} + file[at + 3]; at + 1 < file.size(); ++at) {
                if (file[at] == 0xFF && file[at + 1] >= 0xD0 && file[at + 1] <= 0xD9) {
                    ++number;
                    ++at;
                } else if (number < row - 1 || number > row + 1) {
                    damaged[at] = 0;
                }
            }
            Image into;
            image::decode_region(damaged, "a.jpg", part, into, {.trusted = true});
            CHECK(into == image::crop(pixels, part));
        }
    }
#endif
}

TEST_CASE("markers that are not those of rows are not taken for them") {
#if DOPPEL_JPEG
    const auto file = test::jpeg_of(test::busy(64, 96, 3), {.restart_rows = 1});
    const Image whole = image::decode(file, "a.jpg");
    Bytes renumbered = file;
    for (std::size_t at = 0; at + 1 < file.size(); ++at)
        if (file[at] == 0xFF && file[at + 1] == 0xD3) renumbered[at + 1] = 0xC4;  // no restart marker
    Image into;
    CHECK_THROWS_AS(image::decode_region(renumbered, "a.jpg", {0, 80, 9, 9}, into, {.trusted = true}), DamagedImage);
    image::decode_region(renumbered, "a.jpg", {0, 20, 9, 9}, into, {.trusted = true});
    CHECK(into == image::crop(whole, {0, 20, 9, 9}));
#endif
}

TEST_CASE("what is no intact JPEG is not written anew") {
#if DOPPEL_JPEG
    auto file = test::jpeg_of(test::busy(64, 96, 3));
    CHECK(mentions(message_of([&] { image::restartable_jpeg(Bytes{1, 2, 3}, "a.jpg"); }), {"restartable_jpeg: a.jpg: damaged"}));
    file.resize(file.size() / 2);
    CHECK(mentions(message_of([&] { image::restartable_jpeg(file, "a.jpg"); }), {"restartable_jpeg: a.jpg: damaged"}));
#else
    CHECK(mentions(message_of([&] { image::restartable_jpeg(Bytes{1, 2, 3}, "a.jpg"); }), {"a.jpg", "no JPEG support"}));
#endif
}
