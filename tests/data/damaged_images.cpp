// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/damaged_images.hpp>
#include <doppel/data/file_list.hpp>
#include <doppel/data/image_folder.hpp>
#include <doppel/data/tar_shards.hpp>
#include <doppel/image/write_png.hpp>

#include "support/support.hpp"
#include "support/tar.hpp"

#include <atomic>
#include <memory>

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

struct Unsteady {
    std::shared_ptr<std::atomic<int>> failures;  // reads of image 1 that fail before one succeeds
    std::int64_t size() const { return 3; }
    Image image(std::int64_t i) const {
        if (i == 1 && (*failures)-- > 0) throw UnreadableImage("read: cannot read 1.png: Input/output error");
        return Image(2, 2, 3);
    }
    std::int64_t label(std::int64_t) const { return data::unlabeled; }
    std::vector<std::string> classes() const { return {}; }
};

}  // namespace

TEST_CASE("a read that fails once is tried again; one that fails twice is skipped and recorded") {
    for (const int failures : {0, 1, 2}) {
        const data::Dataset images = Unsteady{std::make_shared<std::atomic<int>>(failures)};
        data::DamagedImages damage;
        CHECK(data::next_valid_image(images, 1, &damage).index == (failures < 2 ? 1 : 2));
        CHECK(damage.list().size() == (failures < 2 ? 0 : 1));
    }
    const data::Dataset images = Unsteady{std::make_shared<std::atomic<int>>(1)};
    CHECK(mentions(message_of([&] { data::next_valid_image(images, 1, nullptr); }), {"1.png", "Input/output error"}));
}

TEST_CASE("a file that vanishes is stood in for by the next one") {
    TemporaryFolder folder;
    for (int i = 0; i < 3; ++i) image::write_png(folder / (std::to_string(i) + ".png"), Image(4 + i, 4, 3));
    const data::Dataset photos = data::ImageFolder(folder.path());
    fs::remove(folder / "1.png");
    data::DamagedImages damage;
    CHECK(data::next_valid_image(photos, 1, &damage).index == 2);
    REQUIRE(damage.list().size() == 1);
    CHECK(mentions(damage.list().front().reason, {"1.png", "No such file"}));
    CHECK_THROWS_AS(photos.image(1), UnreadableImage);
}

TEST_CASE("images of a list that are empty or vanish, and those of a shard that vanishes, are stood in for and counted") {
    TemporaryFolder folder;
    const std::string ppm = "P5\n1 1\n255\nx";
    write_bytes(folder / "0.ppm", ppm);
    write_bytes(folder / "1.ppm", "");
    write_bytes(folder / "2.ppm", ppm);
    write_bytes(folder / "list.txt", "0.ppm\n1.ppm\n2.ppm\n");
    const data::Dataset listed = data::read_file_list(folder / "list.txt").train;
    data::DamagedImages damage;
    CHECK(data::next_valid_image(listed, 1, &damage).index == 2);
    fs::remove(folder / "2.ppm");
    CHECK(data::next_valid_image(listed, 1, &damage).index == 0);
    REQUIRE(damage.list().size() == 2);
    CHECK(mentions(damage.list()[0].reason, {"1.ppm", "no bytes"}));
    CHECK(mentions(damage.list()[1].reason, {"cannot read", "2.ppm"}));

    write_bytes(folder / "a.tar", tar_member("0.ppm", ppm) + tar_member("1.ppm", "") + tar_end());
    write_bytes(folder / "b.tar", tar_member("2.ppm", ppm) + tar_end());
    const data::Dataset shards = data::TarShards({folder / "a.tar", folder / "b.tar"});
    data::DamagedImages others;
    CHECK(data::next_valid_image(shards, 1, &others).index == 2);
    fs::remove(folder / "a.tar");
    CHECK(data::next_valid_image(shards, 0, &others).index == 2);
    CHECK(others.list().size() == 2);
    CHECK(mentions(others.list()[0].reason, {"cannot read", "a.tar"}));
}

#if DOPPEL_PNG
TEST_CASE("an image whose file lacks its end is used, and noted once") {
    TemporaryFolder folder;
    for (int i = 0; i < 2; ++i) image::write_png(folder / (std::to_string(i) + ".png"), Image(4 + i, 4, 3));
    const auto whole = read_bytes(folder / "1.png");
    write_bytes(folder / "1.png", {reinterpret_cast<const char*>(whole.data()), whole.size() - 12});
    const data::Dataset photos = data::ImageFolder(folder.path());
    data::DamagedImages damage;
    for (int time = 0; time < 2; ++time)
        for (std::int64_t i = 0; i < 2; ++i) CHECK(data::next_valid_image(photos, i, &damage).index == i);
    CHECK(damage.list().empty());
    REQUIRE(damage.notes().size() == 1);
    CHECK(damage.notes().front().index == 1);
    CHECK(mentions(damage.notes().front().reason, {"1.png", "PNG without an intact end", "all rows are there"}));
    CHECK(data::next_valid_image(photos, 1, nullptr).image == Image(5, 4, 3));
}
#endif

TEST_CASE("a folder's fingerprint changes with names, sizes and order, not with the folder's place") {
    TemporaryFolder folder;
    const auto fill = [](const fs::path& root, int first) {
        for (const char* name : {"a", "b"})
            for (int i = first; i < first + 12; ++i) {
                fs::create_directories(root / name);
                image::write_png(root / name / (std::to_string(i) + ".png"), Image(4, 4, 3));
            }
        return data::Dataset(data::ImageFolder(root));
    };
    const auto here = fill(folder / "here", 10), there = fill(folder / "there", 10), other = fill(folder / "other", 11);
    CHECK(here.fingerprint().size() == 16);
    CHECK(here.fingerprint() == there.fingerprint());
    CHECK(here.fingerprint() != other.fingerprint());
    CHECK(data::ImageFolder(fs::relative(folder / "here")).fingerprint() == here.fingerprint());
    const data::Dataset first = data::Subset{here, {0, 1, 2}}, second = data::Subset{here, {0, 2, 1}};
    CHECK(first.fingerprint() != second.fingerprint());
    CHECK(data::Dataset(data::Subset{there, {0, 1, 2}}).fingerprint() == first.fingerprint());
    image::write_png(folder / "there" / "a" / "10.png", Image(400, 300, 3));
    CHECK(data::Dataset(data::ImageFolder(folder / "there")).fingerprint() != here.fingerprint());
    CHECK(data::Dataset(Unsteady{}).fingerprint().empty());
}
