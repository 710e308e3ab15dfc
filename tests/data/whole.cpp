// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/whole.hpp>
#include <doppel/image/write_png.hpp>

#include "support/support.hpp"

using namespace doppel;
using test::mentions;
using test::message_of;
namespace fs = std::filesystem;

namespace {

void put(const fs::path& path, int count = 1) {
    fs::create_directories(path);
    for (int i = 0; i < count; ++i) image::write_png(path / (std::to_string(i) + ".png"), Image(2, 2, 1));
}

}  // namespace

TEST_CASE("all images of a folder are one set, nothing is held out, and the order is that of the files") {
    const test::TemporaryFolder folder;
    put(folder / "cat", 3);
    put(folder / "dog", 2);
    const auto found = data::whole(folder.path());
    CHECK(found.format == "class folders");
    CHECK(found.images.size() == 5);
    CHECK(found.images.labeled());
    CHECK(found.images.path(0) == folder / "cat" / "0.png");
    CHECK(found.images.path(4) == folder / "dog" / "1.png");
    const auto plain = data::whole(folder.path(), {.unlabeled = true});
    CHECK(plain.images.size() == 5);
    CHECK(plain.images.classes().empty());
}

TEST_CASE("the images of all splits count, training images first; a split alone is enough") {
    const test::TemporaryFolder folder;
    put(folder / "test" / "cat", 2);
    put(folder / "test" / "dog", 1);
    CHECK(data::whole(folder.path()).images.size() == 3);
    put(folder / "train" / "cat", 4);
    put(folder / "train" / "dog", 1);
    const auto found = data::whole(folder.path());
    CHECK(found.images.size() == 8);
    CHECK(found.images.path(0) == folder / "train" / "cat" / "0.png");
    CHECK(found.images.path(7) == folder / "test" / "dog" / "0.png");
    put(folder / "val" / "dog", 2);
    const auto all = data::whole(folder.path());
    CHECK(all.images.size() == 10);
    CHECK(all.images.path(9) == folder / "test" / "dog" / "0.png");  // the last split
    put(folder / "test" / "ant", 1);  // a class that only one split has
    const auto more = data::whole(folder.path()).images;
    CHECK(more.classes() == std::vector<std::string>{"cat", "dog", "ant"});
    CHECK(more.classes()[static_cast<std::size_t>(more.label(7))] == "ant");
    CHECK(more.classes()[static_cast<std::size_t>(more.label(6))] == "dog");
    CHECK(found.images.classes() == std::vector<std::string>{"cat", "dog"});
}

TEST_CASE("a path that is missing or has no images is an error that names it") {
    const test::TemporaryFolder folder;
    CHECK(mentions(message_of([&] { data::whole(folder / "none"); }), {"no such file or folder", "none"}));
    CHECK(mentions(message_of([&] { data::whole(folder.path()); }), {folder.path().string()}));
}
