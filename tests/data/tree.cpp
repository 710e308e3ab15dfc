// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/detail/tree.hpp>
#include <doppel/image/write_png.hpp>

#include "support/support.hpp"

#include <sys/stat.h>
#include <unistd.h>

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

void put(const fs::path& path) {
    fs::create_directories(path.parent_path());
    image::write_png(path, Image(2, 2, 1));
}

struct Searched {
    std::int64_t images = 0;
    std::string notes;
    std::vector<std::string> skipped;
};

Searched search(const fs::path& root, const std::vector<fs::path>& left_out = {}) {
    data::detail::Search search("data", {});
    for (const auto& folder : left_out) search.leave_out(folder);
    const auto tree = search.below(root);
    Searched found{.images = tree.total, .notes = {}, .skipped = search.survey.skipped};
    for (const auto& line : search.survey.notes()) found.notes += line + "\n";
    return found;
}

}  // namespace

TEST_CASE("folders of runs are skipped and said, wherever they are") {
    TemporaryFolder folder;
    put(folder / "a/1.png");
    for (const auto* run : {"runs/one", "a/two", "three"}) {
        put(folder / run / "attention.png");
        write_bytes(folder / run / "config.json", "{}");
        write_bytes(folder / run / "metrics.jsonl", "");
    }
    fs::remove(folder / "three/config.json");  // as train::train leaves one
    write_bytes(folder / "three/checkpoints/step-00000001.safetensors", "x");
    put(folder / "four/1.png");
    write_bytes(folder / "four/config.json", "{}");  // not a run
    auto found = search(folder.path());
    CHECK(found.images == 2);
    CHECK(mentions(found.notes, {"3 run folders", (folder / "a/two").string()}));

    // A run whose folder is that of the images.
    write_bytes(folder / "config.json", "{}");
    write_bytes(folder / "metrics.jsonl", "");
    put(folder / "attention.png");
    CHECK(search(folder.path()).images == 2);
}

TEST_CASE("system folders and hidden folders are skipped and said") {
    TemporaryFolder folder;
    put(folder / "a/1.png");
    for (const auto* name : {"@eaDir", "$RECYCLE.BIN", "lost+found", "__MACOSX", ".Trashes", ".thumbs"}) put(folder / "a" / name / "x.png");
    put(folder / "@eaDir/2.png");
    const auto found = search(folder.path());
    CHECK(found.images == 1);
    CHECK(mentions(found.notes, {"skipped", "@eaDir (2)", "$RECYCLE.BIN", "lost+found", "__MACOSX", ".Trashes", ".thumbs"}));
}

TEST_CASE("an extension is trusted until decoding; files of other kinds are counted by what they are") {
    TemporaryFolder folder;
    put(folder / "1.png");
    put(folder / "no-extension");
    put(folder / "2.unknown");
    write_bytes(folder / "text.jpg", "no image");
    write_bytes(folder / "more.zip", "PK");
    write_bytes(folder / "old.TAR", "x");
    write_bytes(folder / "labels.csv", "a");
    write_bytes(folder / "all.parquet", "a");
    write_bytes(folder / "all.pkl", "a");
    write_bytes(folder / "a.xyz", "a");
    write_bytes(folder / "b", "a");
    write_bytes(folder / "photo.HEIC", "a");
    const auto found = search(folder.path());
    CHECK(found.images == 4);
    CHECK(mentions(found.notes, {"not images: 2 archives (unpack first), ", "1 table", "1 Parquet file", "1 Python pickle", "1 .xyz file",
                                 "1 unknown file"}));
    REQUIRE(found.skipped.size() == 1);
    CHECK(mentions(found.skipped.front(), {"photo.HEIC", "unsupported image format"}));
}

TEST_CASE("a known extension is not read, so that opening many files is quick") {
    TemporaryFolder folder;
    put(folder / "1.png");
    const auto read_at = [](const fs::path& file) {
        struct stat about{};
        ::stat(file.c_str(), &about);
        return about.st_atim.tv_sec;
    };
    struct timespec long_ago[2] = {{1000, 0}, {2000, 0}};  // read before it was written: the next read moves it
    REQUIRE(::utimensat(AT_FDCWD, (folder / "1.png").c_str(), long_ago, 0) == 0);
    search(folder.path());
    CHECK(read_at(folder / "1.png") == 1000);
}

TEST_CASE("a folder that cannot be listed is named and stepped over") {
    TemporaryFolder folder;
    put(folder / "a/1.png");
    fs::create_directories(folder / "closed");
    fs::permissions(folder / "closed", fs::perms::none);
    const auto before = ::geteuid();
    if (before == 0) REQUIRE(::seteuid(65534) == 0);  // root may list everything
    const auto found = search(folder.path());
    const auto refused = message_of([&] { search(folder / "closed"); });
    if (before == 0) REQUIRE(::seteuid(before) == 0);
    CHECK(found.images == 1);
    REQUIRE(found.skipped.size() == 1);
    CHECK(mentions(found.skipped.front(), {(folder / "closed").string(), "Permission denied"}));
    CHECK(mentions(refused, {"cannot list", "Permission denied"}));
    fs::permissions(folder / "closed", fs::perms::owner_all);
}

TEST_CASE("an image that links lead to counts once, under its own path") {
    TemporaryFolder folder;
    put(folder / "cat/1.png");
    put(folder / "cat/2.png");
    fs::create_directory_symlink(folder / "cat", folder / "all");
    fs::create_directories(folder / "best");
    fs::create_symlink(folder / "cat/1.png", folder / "best/1.png");
    data::detail::Search search_of("data", {});
    const auto tree = search_of.below(folder.path());
    CHECK(tree.total == 2);
    for (const auto& inner : tree.folders) CHECK(inner.total == (inner.name() == "cat" ? 2 : 0));
    CHECK(mentions(search(folder.path()).notes, {"1 link leads to an image that is there already"}));
}

TEST_CASE("a folder that serves evaluation is left out of the training images") {
    TemporaryFolder folder;
    put(folder / "a/1.png");
    put(folder / "judge/a/1.png");
    const auto found = search(folder.path(), {folder / "a/../judge/"});
    CHECK(found.images == 1);
    CHECK(mentions(found.notes, {(folder / "judge").string(), "not trained on"}));
}

TEST_CASE("a long search says how far it is") {
    TemporaryFolder folder;
    put(folder / "1.png");
    put(folder / "2.png");
    std::vector<std::string> lines;
    const auto say = [&](const std::string& line) { lines.push_back(line); };
    data::detail::Search("data", {.say = say, .seconds = 0}).below(folder.path());
    REQUIRE(lines.size() == 2);
    CHECK(mentions(lines.back(), {folder.path().string(), "2 images so far"}));
    lines.clear();
    data::detail::Search("data", {.say = say}).below(folder.path());
    CHECK(lines.empty());
}
