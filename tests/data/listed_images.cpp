// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/image_folder.hpp>
#include <doppel/data/listed_images.hpp>
#include <doppel/data/memory.hpp>

#include "support/images.hpp"
#include "support/support.hpp"

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

TEST_CASE("the list counts, not the folder: order, labels and the fingerprint stay when a file is gone or the root moves") {
    TemporaryFolder folder;
    save_images(folder / "photos/a", 2);
    save_images(folder / "photos/b", 1, 80);
    const data::ImageFolder found(folder / "photos");
    std::vector<data::ListedFile> files;
    for (const int i : {2, 0}) files.push_back(data::listed_file(found, i, folder / "photos").value());
    const data::ListedImages listed(folder / "photos", files, found.classes());
    REQUIRE(listed.size() == 2);
    CHECK(listed.files()[0].path == "b/100.png");
    CHECK(listed.files()[0].bytes == fs::file_size(folder / "photos/b/100.png"));
    CHECK(listed.label(0) == 1);
    CHECK(listed.classes() == std::vector<std::string>{"a", "b"});
    CHECK(listed.image(1) == found.image(0));
    CHECK(data::Dataset(listed).path(1) == found.path(0));
    fs::remove(folder / "photos/a/100.png");
    CHECK(listed.size() == 2);
    CHECK(mentions(message_of([&] { listed.image(1); }), {"a/100.png"}));
    const auto print = listed.fingerprint();
    fs::rename(folder / "photos", folder / "moved");
    CHECK(data::ListedImages(folder / "moved", listed.files(), listed.classes()).fingerprint() == print);
    auto other = listed.files();
    other[0].bytes += 1;
    CHECK(data::ListedImages("photos", other, listed.classes()).fingerprint() != print);
}

TEST_CASE("images that are no files below the root are not listed") {
    TemporaryFolder folder;
    save_images(folder / "a", 2);
    CHECK_FALSE(data::listed_file(data::ImageFolder(folder / "a"), 0, folder / "b"));
    CHECK_FALSE(data::listed_file(data::Memory({Image(2, 2, 3)}), 0, folder.path()));
    CHECK(data::Dataset(data::Memory({Image(2, 2, 3)})).path(0).empty());
}
