// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/image_folder.hpp>
#include <doppel/data/memory.hpp>
#include <doppel/data/open.hpp>
#include <doppel/data/pack.hpp>
#include <doppel/data/packed.hpp>
#include <doppel/image/region.hpp>

#include "support/packed.hpp"
#include "support/support.hpp"

#include <algorithm>
#include <csignal>
#include <random>

#include <sys/resource.h>

using namespace doppel;
using test::mentions;
using test::message_of;

namespace {

void check_same(const data::Dataset& a, const data::Dataset& b) {
    REQUIRE(a.size() == b.size());
    CHECK(a.classes() == b.classes());
    for (std::int64_t i = 0; i < a.size(); ++i) {
        CAPTURE(i, a.path(i).string());
        CHECK(a.label(i) == b.label(i));
        CHECK(a.image(i) == b.image(i));
    }
}

std::int64_t files_in(const std::filesystem::path& folder) {
    return std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator());
}

}  // namespace

TEST_CASE("a packed folder opens as the folder does, with the same pixels") {
    const test::TemporaryFolder folder;
    test::save_kinds(folder / "photos");
    const auto report = data::pack_path(folder / "photos", folder / "photos.dop");
    CHECK(report.skipped.empty());
    CHECK(report.notes.empty());
    CHECK(report.bytes == std::filesystem::file_size(folder / "photos.dop"));
    const auto files = data::open(folder / "photos"), packed = data::open(folder / "photos.dop");
    CHECK(packed.format == "packed file");
    CHECK(mentions(packed.split_rule, {"validation images of photos.dop", "4 images"}));
    check_same(files.train, packed.train);
    check_same(files.validation, packed.validation);
    CHECK(report.train == files.train.size());
    CHECK(report.validation == 4);
    CHECK_FALSE(packed.train.fingerprint().empty());
    CHECK(packed.train.fingerprint() != packed.validation.fingerprint());

    const data::Packed images(folder / "photos.dop");
    std::minstd_rand random(1);
    int small = 0;
    for (std::int64_t i = 0; i < images.size(); ++i) {
        const Image whole = images.image(i);
        CAPTURE(images.name(i));
        CHECK(images.shape(i) == whole.shape());
        CHECK(images.name(i) == files.train.path(i).lexically_relative(folder / "photos"));
        const auto part = test::random_part(random, whole.width, whole.height);
        Image region;
        image::decode_region(images.encoded(i), "a", part, region, {.trusted = true});
        CHECK(region == image::crop(whole, part));
        const bool pixels = image::format_of(images.encoded(i)) == image::Format::ppm;
        CHECK(pixels == (std::max(whole.width, whole.height) <= 64));
        small += pixels;
    }
    CHECK(small >= 2);
    // Nothing is held out when packing: --seed decides when the file is opened.
    data::pack_path(folder / "photos/train", folder / "train.dop");
    check_same(data::open(folder / "photos/train", {}, {.seed = 5}).validation, data::open(folder / "train.dop", {}, {.seed = 5}).validation);
    data::pack_path(folder / "photos", folder / "flat.dop", {.folders = data::Folders::classes, .unlabeled = true});
    CHECK(data::open(folder / "flat.dop").train.classes().empty());
}

TEST_CASE("the same images give the same bytes") {
    const test::TemporaryFolder folder;
    test::save_kinds(folder / "photos");
    std::filesystem::copy(folder / "photos", folder / "elsewhere", std::filesystem::copy_options::recursive);
    data::pack_path(folder / "photos", folder / "a.dop");
    data::pack_path(folder / "elsewhere", folder / "b.dop");
    CHECK(test::same_bytes(folder / "a.dop", folder / "b.dop"));
    data::pack_path(folder / "photos", folder / "c.dop", {.threads = 1});
    data::pack_path(folder / "photos", folder / "d.dop", {.threads = 5});
    CHECK(test::same_bytes(folder / "a.dop", folder / "c.dop"));
    CHECK(test::same_bytes(folder / "a.dop", folder / "d.dop"));
}

TEST_CASE("larger images are resized as Pillow does, and stored as JPEG or as pixels") {
    const test::TemporaryFolder folder;
    const std::vector<Image> images{test::busy(300, 200, 3), test::busy(90, 301, 1), test::busy(100, 80, 3), test::busy(1000, 2, 3)};
    for (std::size_t i = 0; i < images.size(); ++i) {
        std::filesystem::create_directories(folder / "photos");
        image::write_png(folder / "photos" / (std::to_string(i) + ".png"), images[i]);
    }
    data::pack_path(folder / "photos", folder / "raw.dop", {.largest_side = 100, .raw = true});
    const data::Packed raw(folder / "raw.dop");
    REQUIRE(raw.size() == 4);
    CHECK(raw.image(0) == image::resize(images[0], 100, 67, image::Filter::bicubic));
    CHECK(raw.image(1) == image::resize(images[1], 30, 100, image::Filter::bicubic));
    CHECK(raw.image(2) == images[2]);
    CHECK(raw.shape(3) == Shape{100, 1, 3});
#if DOPPEL_JPEG
    data::pack_path(folder / "photos", folder / "jpeg.dop", {.largest_side = 100, .quality = 80});
    const data::Packed packed(folder / "jpeg.dop");
    for (std::int64_t i = 0; i < 2; ++i) {
        CHECK(packed.image(i) == image::decode(image::encode_jpeg(raw.image(i), 80), "a"));
        CHECK(packed.shape(i) == raw.shape(i));
    }
    CHECK(packed.image(2) == images[2]);
#endif
    CHECK(mentions(message_of([&] { data::pack_path(folder / "photos", folder / "a.dop", {.largest_side = -1}); }), {"pack: largest_side", "-1"}));
    CHECK(mentions(message_of([&] { data::pack_path(folder / "photos", folder / "a.dop", {.quality = 101}); }), {"pack: quality", "101"}));
}

TEST_CASE("files of 16 bits become pixels by a window, or stay as they are") {
    const test::TemporaryFolder folder;
    test::write_bytes(folder / "photos/a.pgm", std::string("P5 2 1 65535\n") + '\x03' + '\xE8' + '\x0B' + '\xB8');  // 1000, 3000
    test::write_bytes(folder / "photos/b.pgm", "P5 2 1 255\nxy");
    data::pack_path(folder / "photos", folder / "a.dop");
    CHECK(data::Packed(folder / "a.dop").image(0).pixels == std::vector<std::uint8_t>{4, 12});
    data::pack_path(folder / "photos", folder / "b.dop", {.window = "1000:3000"});
    CHECK(data::Packed(folder / "b.dop").image(0).pixels == std::vector<std::uint8_t>{0, 255});
    CHECK(data::Packed(folder / "b.dop").image(1).pixels == std::vector<std::uint8_t>{'x', 'y'});
    CHECK(mentions(message_of([&] { data::pack_path(folder / "photos", folder / "c.dop", {.window = "5:1"}); }), {"pack: window", "got '5:1'"}));
}

TEST_CASE("images in memory are packed as pixels") {
    const test::TemporaryFolder folder;
    const data::Dataset memory = data::Memory({test::busy(20, 10, 1), test::busy(100, 90, 3)}, {1, data::unlabeled}, {"a", "b"});
    const auto report = data::pack(folder / "m.dop", memory, data::Memory({test::busy(5, 5, 3)}));
    CHECK(report.validation == 1);
    check_same(memory, data::Packed(folder / "m.dop"));
    CHECK(data::Packed(folder / "m.dop").name(1) == "train/1");
    CHECK(data::Packed(folder / "m.dop", data::Split::test).classes().empty());
}

TEST_CASE("damaged images are left out and counted") {
    const test::TemporaryFolder folder;
    test::save_images(folder / "photos/a", 3);
    test::save_images(folder / "photos/b", 3, 9);
    test::write_bytes(folder / "photos/a/0.png", "no image");
    const auto report = data::pack_path(folder / "photos", folder / "p.dop");
    REQUIRE(report.skipped.size() == 1);
    CHECK(mentions(report.skipped[0], {"0.png", "not an image"}));
    CHECK(report.train == 6);
    const data::Packed packed(folder / "p.dop");
    CHECK(packed.size() == 6);
    CHECK(packed.name(0) == "a/100.png");
    test::write_bytes(folder / "bad/1.png", "no image");
    CHECK(mentions(message_of([&] { data::pack_path(folder / "bad", folder / "bad.dop"); }), {"none of the 1 images", "1.png"}));
    CHECK_FALSE(std::filesystem::exists(folder / "bad.dop"));
}

TEST_CASE("a disk that is full, and an interruption, leave nothing behind") {
    const test::TemporaryFolder folder;
    test::save_images(folder / "photos", 40);
    std::filesystem::create_directories(folder / "out");
    auto* const before = std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    REQUIRE(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    const rlimit little{.rlim_cur = 3000, .rlim_max = limit.rlim_max};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &little) == 0);
    const auto message = message_of([&] { data::pack_path(folder / "photos", folder / "out/p.dop"); });
    setrlimit(RLIMIT_FSIZE, &limit);
    std::signal(SIGXFSZ, before);
    CHECK(mentions(message, {"cannot write", "p.dop", "File too large"}));
    CHECK(files_in(folder / "out") == 0);
    int left = 5;
    CHECK(message_of([&] {
              data::pack_path(folder / "photos", folder / "out/p.dop", {.before_each = [&] { require(--left > 0, "interrupted"); }});
          }) == "interrupted");
    CHECK(files_in(folder / "out") == 0);
}
