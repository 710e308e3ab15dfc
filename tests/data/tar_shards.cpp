// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/open.hpp>
#include <doppel/data/tar_shards.hpp>

#include "support/images.hpp"
#include "support/support.hpp"
#include "support/tar.hpp"

#include <cstdlib>

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

/// A PPM file of one gray shade.
std::string ppm(int shade, int width = 2) {
    return "P6\n" + std::to_string(width) + " 1\n255\n" + std::string(static_cast<std::size_t>(3 * width), static_cast<char>(shade));
}

/// Samples with the keys first, first + 1, …, shade and label as their numbers.
std::string samples(int first, int count) {
    std::string text;
    for (int i = first; i < first + count; ++i)
        text += tar_member(std::to_string(i) + ".ppm", ppm(i)) + tar_member(std::to_string(i) + ".cls", std::to_string(i % 3));
    return text;
}

/// "3:1 4:-": the images' shades with their classes.
std::string text_of(const data::Dataset& images) {
    std::string text;
    for (std::int64_t i = 0; i < images.size(); ++i) {
        const auto label = images.label(i);
        text += (i ? " " : "") + std::to_string(images.image(i).pixels[0]) + ":" +
                (label == data::unlabeled ? "-" : images.classes().at(static_cast<std::size_t>(label)));
    }
    return text;
}

data::TarShards read(const TemporaryFolder& folder, const std::string& bytes) {
    write_bytes(folder / "a.tar", bytes);
    return data::TarShards({folder / "a.tar"});
}

}  // namespace

TEST_CASE("samples are the members with one key: an image and its label") {
    const TemporaryFolder folder;
    const auto found = read(folder, tar_member("./", "", '5') + tar_member("./x/1.cls", "4\n") + tar_member("./x/1.PPM", ppm(1)) +
                                        tar_member("./x/1.txt", "a caption") + tar_member("2.ppm", ppm(2)) + tar_member("2.cls.txt", "12") +
                                        tar_member("3.json", R"({"caption": "x", "class": 4})") + tar_member("3.ppm", ppm(3)) +
                                        tar_member("4.ppm", ppm(4)) + tar_member("4.json", "[1]") + tar_member("5.json", "{}") +
                                        tar_member("._4.ppm", "junk") + tar_member("readme", "") + tar_member("6.cls", "4") +
                                        tar_member("6.json", R"({"label": "7"})") + tar_member("6.ppm", ppm(6)) + tar_end());
    CHECK(text_of(found) == "1:4 2:12 3:4 4:- 6:4");
    CHECK(found.classes() == std::vector<std::string>{"4", "12"});
    CHECK(found.shards() == std::vector<std::int64_t>{5});
    Image into;
    const data::Dataset both = data::Joined(found, found);
    const auto part = both.decode(6, [](int, int height) { return image::Rect{1, 0, 1, height}; }, into);
    CHECK(part.width == 2);
    CHECK(into.width == part.at.width);
    CHECK(into.pixels[0] == 2);
    CHECK(found.skipped().empty());
    REQUIRE(found.notes().size() == 2);
    CHECK(found.notes()[0] == "in the shards, not used: 2 JSON files, 1 text file, 1 unknown file");
    CHECK(found.notes()[1] == "in the shards, samples without an image: 2");
}

TEST_CASE("of several images under one key the one with the plain extension counts, and texts are classes too") {
    const TemporaryFolder folder;
    const auto found = read(folder, tar_member("1.seg.ppm", ppm(9)) + tar_member("1.ppm", ppm(1)) + tar_member("1.cls", "cat") +
                                        tar_member("2.input.ppm", ppm(2)) + tar_member("2.target.ppm", ppm(8)) + tar_member("2.json", R"({"label": "dog"})") +
                                        tar_end());
    CHECK(text_of(found) == "1:cat 2:dog");
    CHECK(found.notes() == std::vector<std::string>{"in the shards, not used: 2 .ppm files"});
}

TEST_CASE("long names are read as ustar, GNU and pax write them") {
    const TemporaryFolder folder;
    const std::string longer(180, 'n'), odd = "dir/\xC3\xBC";
    const auto found = read(folder, tar_member("1.ppm", ppm(1), '0', longer.substr(0, 150)) + tar_member("././@LongLink", longer + ".ppm" + '\0', 'L') +
                                        tar_member(longer, ppm(2), '0', "", "ustar  ") + tar_member("pax", pax("mtime", "1.5") + pax("path", odd + ".ppm"), 'x') +
                                        tar_member("short.ppm", ppm(3)) + tar_member("g", pax("comment", "x"), 'g') + tar_member("4.ppm", ppm(4)) +
                                        tar_member("link.ppm", "", '2') + tar_member("5.ppm", ppm(5), '\0', "", "") + tar_end());
    CHECK(text_of(found) == "1:- 2:- 3:- 4:- 5:-");
    CHECK(mentions(message_of([&] { write_bytes(folder / "a.tar", ""); found.image(1); }), {longer + ".ppm: the shard has become shorter"}));
    CHECK(mentions(message_of([&] { found.image(2); }), {"a.tar: " + odd + ".ppm"}));
    CHECK(mentions(message_of([&] { found.image(0); }), {"a.tar: " + longer.substr(0, 150) + "/1.ppm"}));
}

TEST_CASE("shards keep their order, and the fingerprint tells what changed") {
    const TemporaryFolder folder;
    write_bytes(folder / "0.tar", samples(0, 3) + tar_end());
    write_bytes(folder / "1.tar", tar_end());
    write_bytes(folder / "2.tar", samples(3, 2) + tar_end());
    const std::vector<fs::path> paths{folder / "0.tar", folder / "1.tar", folder / "2.tar"};
    const data::Dataset found = data::TarShards(paths);
    CHECK(text_of(found) == "0:0 1:1 2:2 3:0 4:1");
    CHECK(found.shards() == std::vector<std::int64_t>{3, 2});
    CHECK(found.fingerprint() == data::TarShards(paths).fingerprint());
    CHECK(found.fingerprint() != data::TarShards({paths[2], paths[0]}).fingerprint());
    write_bytes(folder / "2.tar", samples(3, 1) + tar_member("4.ppm", ppm(4)) + tar_member("4.cls", "2") + tar_end());
    CHECK(found.fingerprint() != data::TarShards(paths).fingerprint());
    // A held-out part keeps the shards.
    CHECK(data::Dataset(data::Subset{found, {1, 2, 4}}).shards() == std::vector<std::int64_t>{2, 1});
    CHECK(data::Dataset(data::Subset{found, {4}}).shards() == std::vector<std::int64_t>{1});
    CHECK(data::Dataset(data::Subset{found, {2, 1}}).shards().empty());
}

TEST_CASE("a damaged or truncated shard says where, and the samples before that are used") {
    const TemporaryFolder folder;
    const auto whole = samples(0, 4);
    const auto damage = [&](const std::string& bytes) {
        const auto found = read(folder, bytes);
        return std::pair(found.size(), found.skipped().empty() ? "" : found.skipped().front());
    };
    const auto says_of = [&](const std::string& bytes, std::int64_t size, std::initializer_list<std::string_view> parts) {
        const auto [images, text] = damage(bytes);
        INFO(text);
        CHECK(images == size);
        CHECK(mentions(text, parts));
        CHECK(mentions(text, {(folder / "a.tar").string()}));
    };
    CHECK(damage(whole + tar_end()).second.empty());
    says_of(whole.substr(0, 4 * 1024 + 520), 2, {"at byte 4096: the archive ends within a member of 17 bytes", "2 images before that are used"});
    says_of(whole.substr(0, 4 * 1024 + 100), 2, {"at byte 4096: the archive ends within a header"});
    auto flipped = whole + tar_end();
    flipped[4 * 1024 + 5] = 'x';
    says_of(flipped, 2, {"at byte 4096: not a tar header, the archive is damaged"});
    auto hole = whole + tar_end();
    hole.replace(4 * 1024, 512, 512, '\0');
    says_of(hole, 2, {"at byte 4096: zeros in the middle"});
    auto large = tar_member("9.ppm", "").substr(0, 512);
    large.replace(124, 12, std::string("\x80\0\0\0\0\x7F\0\0\0\0\0\0", 12));
    says_of(whole + with_checksum(large), 4, {"at byte 8192: a member of ", "in an archive of 8704"});
    const auto cut = read(folder, whole);
    CHECK(cut.size() == 4);
    CHECK(mentions(cut.notes().front(), {"lack the end marker", ": 1"}));

    says([&] { read(folder, flipped.substr(4096)); }, {"no image in", "a.tar at byte 0: not a tar header"});
    says([&] { read(folder, ""); }, {"no image in", "a.tar"});
    says([&] { read(folder, tar_member("1.txt", "x") + tar_end()); }, {"no image in", "but 1 text file"});
    says([&] { data::TarShards({folder / "none.tar"}); }, {"cannot read", "none.tar"});
    write_bytes(folder / "b.tar", whole + tar_end());
    says([&] { data::TarShards({folder / "b.tar", folder / "c.tar", folder / "d.tar"}); }, {"2 of 3 shards cannot be read", "c.tar"});
}

TEST_CASE("an image that claims 30,000 pixels a side, and a shard that vanishes, are damaged images and no more") {
    const TemporaryFolder folder;
    const auto found = read(folder, tar_member("1.ppm", "P6\n30000 30000\n255\nxyz") + tar_member("2.ppm", ppm(2)) + tar_member("3.png", "") + tar_end());
    REQUIRE(found.size() == 3);
    CHECK_THROWS_AS(found.image(0), DamagedImage);
    CHECK(found.image(1).pixels[0] == 2);
    CHECK_THROWS_AS(found.image(2), DamagedImage);
    fs::remove(folder / "a.tar");
    CHECK_THROWS_AS(found.image(1), UnreadableImage);
}

TEST_CASE("tar files are a data set: one, a folder of them, folders of splits, names of splits, a pattern") {
    const TemporaryFolder folder;
    write_bytes(folder / "all/x-8.tar", samples(0, 12) + tar_end());
    write_bytes(folder / "all/x-9.tar", samples(12, 8) + tar_end());
    write_bytes(folder / "all/x-10.tar", samples(20, 10) + tar_end());
    auto found = data::open(folder / "all", {}, {.seed = 1});
    CHECK(found.format == "tar shards");
    CHECK(found.split_rule == "held out 3 of 30 images: no validation split found");
    CHECK(found.train.size() == 27);
    CHECK(found.train.shards().size() == 3);
    CHECK(found.train.labeled());
    CHECK(data::open(folder / "all/x-8.tar").train.size() == 11);
    found = data::open(folder / "all/x-{8..10}.tar", folder / "all/x-9.tar");
    CHECK(found.train.shards() == std::vector<std::int64_t>{12, 8, 10});
    CHECK(found.validation.size() == 8);
    CHECK(data::open(folder / "all", {}, {.unlabeled = true}).train.classes().empty());

    write_bytes(folder / "split/train/a.tar", samples(0, 12) + tar_end());
    write_bytes(folder / "split/val/a.tar", samples(12, 6) + tar_end());
    found = data::open(folder / "split");
    CHECK(found.train.size() == 12);
    CHECK(found.split_rule == "validation: folder val, 6 images");

    for (const char* name : {"imagenet-train-000000.tar", "imagenet-train-000001.tar", "imagenet-val-000000.tar"})
        write_bytes(folder / "named" / name, samples(0, 6) + tar_end());
    found = data::open(folder / "named");
    CHECK(found.train.shards() == std::vector<std::int64_t>{6, 6});
    CHECK(mentions(found.split_rule, {"validation: imagenet-val-000000.tar, 6 images"}));
    write_bytes(folder / "named/other.tar", samples(0, 6) + tar_end());
    says([&] { data::open(folder / "named"); }, {"1 of 4 tar files have no split in their names", "other.tar"});

    // Images beside an archive are what was unpacked from it.
    save_images(folder / "all/cat", 4);
    CHECK(data::open(folder / "all").format == "class folders");
    says([&] { data::open(folder / "all/y-{3..1}.tar"); }, {"from 3 to 1", "ascending"});
    says([&] { data::open(folder / "all/y-{1..3}.tar"); }, {"no image in the shards from", "y-1.tar"});
}

TEST_CASE("shards written by tar itself are read", "[data]") {
    const TemporaryFolder folder;
    const std::string inner = std::string(90, 'a') + "/" + std::string(120, 'b');
    for (int i = 0; i < 3; ++i) write_bytes(folder / ("set/" + inner + std::to_string(i) + ".ppm"), ppm(i + 1));
    for (const std::string format : {"gnu", "ustar", "posix", "v7"}) {
        INFO(format);
        const auto command = "tar --sort=name --format=" + format + " -C " + (folder / "set").string() + " -cf " + (folder / (format + ".tar")).string() +
                             " . 2>/dev/null";
        if (std::system(command.c_str()) != 0) {  // v7 has no names of this length
            CHECK((format == "v7" || format == "ustar"));
            continue;
        }
        CHECK(text_of(data::TarShards({folder / (format + ".tar")})) == "1:- 2:- 3:-");
    }
}
