// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/image_folder.hpp>
#include <doppel/image/write_png.hpp>

#include "support/support.hpp"

#include <thread>

using namespace doppel;
using test::mentions;
using test::message_of;
namespace fs = std::filesystem;

namespace {

/// Writes a gray image of one level.
void put(const fs::path& path, int level = 0) {
    fs::create_directories(path.parent_path());
    Image image(3, 2, 1);
    image.pixels.assign(6, static_cast<std::uint8_t>(level));
    image::write_png(path, image);
}

/// Paths below the root and labels, in order.
std::vector<std::pair<std::string, std::int64_t>> content(const data::ImageFolder& images, const fs::path& root) {
    std::vector<std::pair<std::string, std::int64_t>> all;
    for (std::int64_t i = 0; i < images.size(); ++i)
        all.emplace_back(fs::relative(images.path(i), root).string(), images.label(i));
    return all;
}

using Content = std::vector<std::pair<std::string, std::int64_t>>;

}  // namespace

TEST_CASE("folders are classes, in the order of their names, with their files at any depth") {
    const test::TemporaryFolder folder;
    put(folder / "b/2.png");
    put(folder / "b/deep/er/1.png");
    put(folder / "a/x.png");
    put(folder / "a-b/x.png");
    put(folder / "B/1.jpg");
    const data::ImageFolder images(folder.path());
    CHECK(images.classes() == std::vector<std::string>{"B", "a", "a-b", "b"});
    // By the bytes of the whole path: '-' comes before '/'.
    CHECK(content(images, folder.path()) ==
          Content{{"B/1.jpg", 0}, {"a-b/x.png", 2}, {"a/x.png", 1}, {"b/2.png", 3}, {"b/deep/er/1.png", 3}});

    const data::ImageFolder flat(folder.path(), {.labels = false});
    CHECK(flat.classes().empty());
    CHECK(flat.size() == 5);
    CHECK(flat.label(4) == data::unlabeled);
}

TEST_CASE("a folder without folders of images is an unlabeled set") {
    const test::TemporaryFolder folder;
    put(folder / "2.png");
    put(folder / "10.png");
    fs::create_directories(folder / "empty/er");
    test::write_bytes(folder / "docs/readme.txt", "text");
    const data::ImageFolder images(folder.path());
    CHECK(images.classes().empty());
    CHECK(content(images, folder.path()) == Content{{"10.png", data::unlabeled}, {"2.png", data::unlabeled}});
    CHECK_FALSE(data::Dataset(images).labeled());
}

TEST_CASE("files are recognized by extension, else by content; hidden ones are skipped") {
    const test::TemporaryFolder folder;
    put(folder / "a/no-extension");
    put(folder / "a/called.other");
    put(folder / "a/ğrün 日本.png");
    put(folder / "a/.hidden.png");
    put(folder / ".thumbs/1.png");
    test::write_bytes(folder / "a/fake.png", "no image at all");
    test::write_bytes(folder / "a/empty.jpg", "");
    test::write_bytes(folder / "labels.csv", "a,b");
    const data::ImageFolder images(folder.path());
    CHECK(images.classes() == std::vector<std::string>{"a"});
    CHECK(content(images, folder.path()) ==
          Content{{"a/called.other", 0}, {"a/empty.jpg", 0}, {"a/fake.png", 0}, {"a/no-extension", 0}, {"a/ğrün 日本.png", 0}});
    CHECK(mentions(message_of([&] { images.image(1); }), {"empty.jpg", "no bytes"}));
    CHECK(mentions(message_of([&] { images.image(2); }), {"fake.png", "not an image"}));
}

TEST_CASE("links are followed, but not in a circle and not to an image that is there already") {
    const test::TemporaryFolder folder, elsewhere;
    put(folder / "a/1.png");
    put(elsewhere / "2.png");
    fs::create_directory_symlink("..", folder / "a/up");
    fs::create_directory_symlink(".", folder / "a/same");
    fs::create_directory_symlink(folder.path(), folder / "a/root");
    fs::create_directory_symlink(elsewhere.path(), folder / "b");
    fs::create_directory_symlink(folder / "b", elsewhere / "loop");
    fs::create_symlink(elsewhere / "2.png", folder / "a/link.png");
    fs::create_symlink("nowhere", folder / "a/broken.png");
    const data::ImageFolder images(folder.path());
    CHECK(images.classes() == std::vector<std::string>{"a"});
    REQUIRE(images.size() == 2);
    CHECK(images.path(0) == folder / "a/1.png");
    CHECK(images.path(1) == folder / "a/link.png");
    put(elsewhere / "3.png");
    CHECK(data::ImageFolder(folder.path()).classes() == std::vector<std::string>{"a", "b"});
}

TEST_CASE("folders that cannot be a data set are refused in one line with the path") {
    const test::TemporaryFolder folder;
    CHECK(mentions(message_of([&] { data::ImageFolder(folder / "none"); }), {"ImageFolder: no such folder: ", "none"}));
    CHECK(mentions(message_of([&] { data::ImageFolder(folder.path()); }),
                   {" image in ", folder.path().string()}));
    test::write_bytes(folder / "photos.tar", "x");
    CHECK(mentions(message_of([&] { data::ImageFolder(folder.path()); }), {", but 1 archive (unpack first)"}));
    put(folder / "1.png");
    CHECK(mentions(message_of([&] { data::ImageFolder(folder / "1.png"); }), {"not a folder: ", "1.png"}));
    put(folder / "cats/1.png");
    CHECK(mentions(message_of([&] { data::ImageFolder(folder.path()); }),
                   {folder.path().string(), "subfolders", "1.png", "cats", "--unlabeled"}));
    CHECK(data::ImageFolder(folder.path(), {.labels = false}).size() == 2);
}

#if DOPPEL_PNG
TEST_CASE("images are decoded when asked for, from several threads, and errors carry the path") {
    const test::TemporaryFolder folder;
    for (int i = 0; i < 20; ++i) put(folder / ("c" + std::to_string(i % 2)) / (std::to_string(10 + i) + ".png"), i);
    const data::ImageFolder images(folder.path());
    std::vector<int> wrong(4);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < wrong.size(); ++t)
        threads.emplace_back([&, t] {
            for (std::int64_t i = 0; i < images.size(); ++i)
                wrong[t] += std::to_string(10 + images.image(i).pixels.at(0)) != images.path(i).stem().string();
        });
    for (auto& thread : threads) thread.join();
    CHECK(wrong == std::vector<int>(4));

    test::write_bytes(images.path(0), "\x89PNG\r\n\x1A\n and no more");
    CHECK(mentions(message_of([&] { images.image(0); }), {images.path(0).string(), "PNG"}));
    fs::remove(images.path(0));
    CHECK(mentions(message_of([&] { images.image(0); }), {images.path(0).string(), "No such file"}));
}
#endif

#if DOPPEL_JPEG
TEST_CASE("a folder of photographs opens with its classes", "[data]") {
    const auto real = test::real_images("clothing-2k");
    if (!real) SKIP("no clothing-2k in DOPPEL_TEST_DATA");
    const data::ImageFolder photos(*real / "validation");
    CHECK(photos.size() == 341);
    CHECK(photos.classes().size() == 10);
    CHECK(photos.classes().front() == "dress");
    CHECK(photos.image(0).channels == 3);
    CHECK(photos.image(340).height > 100);
}
#endif
