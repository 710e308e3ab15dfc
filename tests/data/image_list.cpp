// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/image_list.hpp>
#include <doppel/data/memory.hpp>

#include "support/images.hpp"
#include "support/support.hpp"

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> paths_of(const data::Dataset& images, const fs::path& root) {
    std::vector<std::string> all;
    for (std::int64_t i = 0; i < images.size(); ++i) all.push_back(images.path(i).lexically_relative(root).string());
    return all;
}

}  // namespace

TEST_CASE("a run that goes on gets the same images, split and labels, also when some are gone and others are new") {
    TemporaryFolder folder;
    const data::Roots roots{.data = folder / "photos"};
    const std::string odd = "tab\tnew\nline\\ ü";
    save_images(roots.data / odd, 10);
    save_images(roots.data / "b", 20, 80);
    auto splits = data::open(roots.data);
    const auto text = data::save_list(splits, roots, "seed 0");
    write_bytes(folder / "images.tsv", text);
    CHECK(splits.validation.size() == 3);

    fs::remove(splits.validation.path(0));
    fs::remove(splits.train.path(5));
    save_images(roots.data / "c", 4);
    const auto again = data::load_list(folder / "images.tsv", roots, "seed 0").value();
    CHECK(again.list == text);
    CHECK(again.format == "class folders");
    CHECK(again.split_rule == splits.split_rule);
    CHECK(again.train.classes() == splits.train.classes());
    for (const auto& [a, b] : {std::pair(again.train, splits.train), std::pair(again.validation, splits.validation)}) {
        CHECK(paths_of(a, roots.data) == paths_of(b, roots.data));
        CHECK(a.fingerprint() == b.fingerprint());
        for (std::int64_t i = 0; i < a.size(); ++i) CHECK(a.label(i) == b.label(i));
    }
    REQUIRE(again.skipped.size() == 2);
    CHECK(mentions(again.skipped[0], {splits.train.path(5).string(), "gone since the run began", "stands in"}));

    CHECK_FALSE(data::load_list(folder / "images.tsv", roots, "seed 1"));
    CHECK_FALSE(data::load_list(folder / "none.tsv", roots, "seed 0"));
    // A moved folder.
    fs::rename(folder / "photos", folder / "moved");
    CHECK(data::load_list(folder / "images.tsv", {.data = folder / "moved"}, "seed 0")->train.fingerprint() == splits.train.fingerprint());
    CHECK(mentions(message_of([&] { data::load_list(folder / "images.tsv", roots, "seed 0"); }),
                   {"27 of the run's 27 images are gone", "--data"}));
}

TEST_CASE("another image under an old name, and a damaged list, are refused") {
    TemporaryFolder folder;
    const data::Roots roots{.data = folder / "photos", .val = folder / "val"};
    save_images(roots.data / "a", 3);
    save_images(roots.data / "b", 3);
    save_images(roots.val / "b", 2);
    auto splits = data::open(roots.data, roots.val);
    const auto text = data::save_list(splits, roots, "");
    const auto file = folder / "images.tsv";
    write_bytes(file, text);
    CHECK(data::load_list(file, roots, "")->validation.label(0) == 1);
    write_bytes(roots.data / "a/101.png", "another image");
    CHECK(mentions(message_of([&] { data::load_list(file, roots, ""); }), {"a/101.png has 13 bytes, it had ", "must see the same images"}));
    for (const auto& wrong : {std::string("x"), text.substr(0, text.size() - 30), text + "train\tdata\t9\t1\tx\n", text + "train\tdata\tz\t1\tx\n"}) {
        write_bytes(file, wrong);
        CHECK(mentions(message_of([&] { data::load_list(file, roots, ""); }), {file.string() + ":", "not a line"}));
    }
}

TEST_CASE("a list of files, and extra images of another folder, go on as they were") {
    TemporaryFolder folder;
    save_images(folder / "set/images", 12);
    save_images(folder / "more", 5, 80);
    std::string rows;
    for (int i = 100; i < 112; ++i) rows += "images/" + std::to_string(i) + ".png," + std::to_string(i % 2) + "\n";
    write_bytes(folder / "set/list.csv", rows);
    const data::Roots roots{.data = folder / "set/list.csv", .extra = folder / "more"};
    auto splits = data::open(roots.data, {}, {.extra = roots.extra});
    const auto text = data::save_list(splits, roots, "");
    CHECK(mentions(text, {"train\tdata\t0\t", "\timages/100.png\n", "train\textra\t-1\t", "\t104.png\n", "bank\tdata\t"}));
    write_bytes(folder / "images.tsv", text);
    fs::remove(folder / "set/list.csv");  // the run's own list counts
    write_bytes(folder / "set/list.csv", "images/100.png,0\n");
    const auto again = data::load_list(folder / "images.tsv", roots, "").value();
    CHECK(again.train.size() == 16);
    CHECK(again.train.fingerprint() == splits.train.fingerprint());
    CHECK(again.bank.fingerprint() == splits.bank.fingerprint());
    CHECK(again.train.label(15) == data::unlabeled);
    CHECK(again.train.image(15) == splits.train.image(15));
}

TEST_CASE("images that are no files need no list") {
    data::Splits splits{.train = data::Memory({Image(2, 2, 3)})};
    CHECK(data::save_list(splits, {.data = "somewhere"}, "").empty());
    CHECK(splits.train.size() == 1);
}
