// SPDX-License-Identifier: Apache-2.0
#include <doppel/image/encode.hpp>
#include <doppel/image/region.hpp>

#include "support/images.hpp"
#include "support/jpegs.hpp"
#include "support/support.hpp"

#include <algorithm>
#include <random>
#include <string>

using namespace doppel;
using image::Rect;
using test::mentions;
using test::message_of;
using Bytes = std::vector<std::uint8_t>;

TEST_CASE("a region of a JPEG has the very pixels of the whole image") {
#if DOPPEL_JPEG
    std::minstd_rand random(1);
    Image into;
    int regions = 0;
    for (const auto& [name, file] : test::jpeg_kinds()) {
        CAPTURE(name);
        const Image whole = image::decode(file, name);
        std::vector<Rect> parts{{0, 0, whole.width, whole.height}};
        for (const int left : {0, whole.width - 1})
            for (const int top : {0, whole.height - 1}) parts.push_back({left, top, 1, 1});
        for (int i = 0; i < 20; ++i) parts.push_back(test::random_part(random, whole.width, whole.height));
        for (const Rect& part : parts) {
            CAPTURE(part.left, part.top, part.width, part.height);
            const Image expected = image::crop(whole, part);
            for (const bool trusted : {false, true}) {
                image::decode_region(file, name, part, into, {.trusted = trusted});
                REQUIRE(into == expected);
                CHECK(into.note.empty());
            }
            ++regions;
        }
    }
    CHECK(regions > 800);
#endif
}

TEST_CASE("every row and every column of a JPEG begins a region of the very pixels") {
#if DOPPEL_JPEG
    Image into;
    for (const auto* name : {"sampled 1x1", "sampled 2x1", "sampled 1x2", "sampled 2x2", "gray"}) {
        const auto& file = test::jpeg_kinds().at(name);
        const Image whole = image::decode(file, name);
        CAPTURE(name);
        for (int top = 0; top < whole.height; ++top) {
            const Rect part{0, top, whole.width, std::min(3, whole.height - top)};
            image::decode_region(file, name, part, into);
            REQUIRE(into == image::crop(whole, part));
        }
        for (int left = 0; left < whole.width; ++left) {
            const Rect part{left, 20, std::min(3, whole.width - left), 2};
            image::decode_region(file, name, part, into);
            REQUIRE(into == image::crop(whole, part));
        }
    }
#endif
}

TEST_CASE("a region of any other format is that of the whole image") {
    std::minstd_rand random(2);
    for (const auto& words : test::fixture_lines("images.txt")) {
        const auto& name = words.at(0);
        const auto file = test::bytes_of_hex(words.at(4));
        if (!image::info_of(*image::format_of(file)).readable) continue;
        CAPTURE(name);
        const Image whole = image::decode(file, name);
        for (int i = 0; i < 3; ++i) {
            const Rect part = test::random_part(random, whole.width, whole.height);
            Image into;
            image::decode_region(file, name, part, into);
            CHECK(into == image::crop(whole, part));
        }
    }
}

TEST_CASE("a damaged JPEG is damaged wherever the region is, with the same words") {
#if DOPPEL_JPEG
    std::minstd_rand random(3);
    int damaged = 0, notes = 0;
    for (const auto* name : {"sampled 1x1", "sampled 2x2", "sampled 2x2, restart markers", "gray", "progressive", "orientation 6"}) {
        const auto& file = test::jpeg_kinds().at(name);
        const Bytes scan{0xFF, 0xDA};
        const auto header = static_cast<std::size_t>(std::search(file.begin(), file.end(), scan.begin(), scan.end()) - file.begin());
        for (int trial = 0; trial < 60; ++trial) {
            Bytes other = file;
            if (trial % 3 == 0)
                other.resize(file.size() - (trial < 9 ? static_cast<std::size_t>(trial / 3 + 1) : random() % (file.size() - header)));
            else
                other[header + random() % (other.size() - header)] ^= static_cast<std::uint8_t>(1u << random() % 8);
            CAPTURE(name, trial);
            Image whole, into;
            const auto expected = message_of([&] { whole = image::decode(other, "a.jpg"); });
            for (const Rect& part : {Rect{0, 0, 5, 5}, Rect{10, 8, 12, 9}, Rect{3, 0, 1, 25}}) {
                const auto message = message_of([&] { image::decode_region(other, "a.jpg", part, into); });
                REQUIRE(message == expected);
                if (!expected.empty()) continue;
                CHECK(into == image::crop(whole, part));
                CHECK(into.note == whole.note);
                image::decode_region(other, "a.jpg", {part.left, whole.height - 2, 3, 2}, into, {.trusted = true});
                CHECK(into == image::crop(whole, {part.left, whole.height - 2, 3, 2}));
            }
            damaged += !expected.empty();
            notes += !whole.note.empty();
        }
    }
    CHECK(damaged > 60);
    CHECK(notes > 6);
    // Of a trusted file, nothing below the region is read.
    Bytes cut = test::jpeg_kinds().at("sampled 2x2");
    const Image whole = image::decode(cut, "a.jpg");
    cut.resize(cut.size() * 3 / 4);
    Image into;
    image::decode_region(cut, "a.jpg", {4, 2, 30, 20}, into, {.trusted = true});
    CHECK(into == image::crop(whole, {4, 2, 30, 20}));
    CHECK_THROWS_AS(image::decode_region(cut, "a.jpg", {4, 2, 30, 20}, into), DamagedImage);
    CHECK_THROWS_AS(image::decode_region(cut, "a.jpg", {4, 2, 30, 59}, into, {.trusted = true}), DamagedImage);
#endif
}

TEST_CASE("a region outside the image is an error of the caller, not of the file") {
    const auto outside = [](const Bytes& file) {
        Image into;
        for (const Rect& part : {Rect{-1, 0, 2, 2}, Rect{0, 0, 41, 2}, Rect{39, 24, 2, 1}, Rect{0, 0, 0, 1}, Rect{2147483647, 0, 2, 2}}) {
            bool skipped = false;
            const auto message = message_of([&] {
                try {
                    image::decode_region(file, "a", part, into);
                } catch (const DamagedImage&) {
                    skipped = true;
                    throw;
                }
            });
            CHECK(mentions(message, {"decode_region", "must lie inside the 40x25 image"}));
            CHECK_FALSE(skipped);
        }
    };
    outside(image::encode_png(test::busy(40, 25, 3)));
#if DOPPEL_JPEG
    outside(test::jpeg_of(test::busy(40, 25, 3)));
    outside(test::jpeg_of(test::busy(25, 40, 3), {.orientation = 6}));
#endif
}

TEST_CASE("the memory of an image is used again") {
    const auto files = [] {
        std::vector<Bytes> all{image::encode_png(test::busy(40, 25, 3)), image::encode_png(test::busy(20, 25, 1))};
#if DOPPEL_JPEG
        all.push_back(test::jpeg_of(test::busy(30, 30, 3)));
        all.push_back(test::jpeg_of(test::busy(31, 17, 1)));
#endif
        return all;
    }();
    Image into(50, 50, 3);
    const auto* memory = into.pixels.data();
    for (const auto& file : files) {
        into.note = "of another file";
        image::decode_into(file, "a", into);
        CHECK(into == image::decode(file, "a"));
        CHECK(into.note.empty());
        image::decode_region(file, "a", {3, 4, 15, 11}, into);
        CHECK(into == image::crop(image::decode(file, "a"), {3, 4, 15, 11}));
        CHECK(into.pixels.data() == memory);
    }
}

TEST_CASE("shape_of reads the size of the upright image") {
    int known = 0;
    const auto check = [&](const std::string& name, const Bytes& file) {
        CAPTURE(name);
        const auto shape = image::shape_of(file);
        if (!shape) return;
        CHECK(*shape == image::decode(file, name).shape());
        ++known;
    };
    for (const auto& words : test::fixture_lines("images.txt")) {
        const auto file = test::bytes_of_hex(words.at(4));
        if (image::info_of(*image::format_of(file)).readable) check(words.at(0), file);
    }
#if DOPPEL_JPEG
    for (const auto& [name, file] : test::jpeg_kinds()) {
        check(name, file);
        CHECK(image::shape_of(file));
    }
    CHECK(image::shape_of(test::jpeg_kinds().at("orientation 6")) == Shape{25, 37, 3});
    CHECK_FALSE(image::shape_of(std::span(test::jpeg_kinds().at("gray")).first(100)));
#endif
    CHECK(known > 30);
    CHECK_FALSE(image::shape_of(Bytes{}));
    CHECK_FALSE(image::shape_of(Bytes{1, 2, 3}));
}
