// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/open.hpp>
#include <doppel/data/stl10.hpp>

#include "support/support.hpp"

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

/// An image whose red is `shade`, green the column, blue the row: three planes, each by columns.
std::string picture(int shade) {
    std::string bytes(96 * 96, static_cast<char>(shade));
    for (int i = 0; i < 96 * 96; ++i) bytes += static_cast<char>(i / 96);
    for (int i = 0; i < 96 * 96; ++i) bytes += static_cast<char>(i % 96);
    return bytes;
}

/// Writes `count` images of a part, with labels 1, 2, …, 10, 1, … unless it is the one without.
void put(const fs::path& folder, const std::string& part, int count) {
    std::string images, labels;
    for (int i = 0; i < count; ++i) {
        images += picture(i);
        labels += static_cast<char>(i % 10 + 1);
    }
    write_bytes(folder / (part + "_X.bin"), images);
    if (part != "unlabeled") write_bytes(folder / (part + "_y.bin"), labels);
}

}  // namespace

TEST_CASE("STL-10's planes by columns become pixels, and its labels begin with 1") {
    const TemporaryFolder folder;
    put(folder.path(), "train", 12);
    put(folder.path(), "unlabeled", 3);
    const data::Stl10 train(folder.path()), more(folder.path(), data::Stl10Part::without_labels);
    REQUIRE(train.size() == 12);
    CHECK(train.label(0) == 0);
    CHECK(train.label(9) == 9);
    CHECK(train.label(10) == 0);
    CHECK(train.classes()[7] == "monkey");
    const Image image = train.image(11);
    CHECK(image.width == 96);
    CHECK(image.height == 96);
    CHECK(static_cast<int>(image.at(20, 11)[0]) == 11);
    CHECK(static_cast<int>(image.at(20, 11)[1]) == 20);
    CHECK(static_cast<int>(image.at(20, 11)[2]) == 11);
    CHECK(static_cast<int>(image.at(95, 3)[1]) == 95);
    CHECK(static_cast<int>(image.at(95, 3)[2]) == 3);
    CHECK(more.size() == 3);
    CHECK(more.label(2) == data::unlabeled);
    CHECK(more.classes().empty());
    CHECK(static_cast<int>(more.image(2).at(0, 0)[0]) == 2);
    says([&] { train.image(12); }, {"Stl10: index must be 0 to 11, got 12"});
    write_bytes(folder / "class_names.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n");
    CHECK(data::Stl10(folder.path()).classes()[9] == "j");
    // The images stay in the file.
    write_bytes(folder / "unlabeled_X.bin", picture(0));
    CHECK_THROWS_AS(more.image(2), UnreadableImage);
}

TEST_CASE("files that are not STL-10's are refused with path and value") {
    const TemporaryFolder folder;
    const auto refused = [&](std::initializer_list<std::string_view> parts) { says([&] { data::Stl10(folder.path()); }, parts); };
    refused({"Stl10: no train_X.bin in ", folder.path().string()});
    put(folder.path(), "train", 2);
    write_bytes(folder / "train_y.bin", "\x01");
    refused({"train_y.bin: 1 labels, expected 2"});
    write_bytes(folder / "train_y.bin", "\x01\x0B");
    refused({"train_y.bin: image 1 has label 11, expected 1 to 10"});
    write_bytes(folder / "train_y.bin", std::string("\x01\0", 2));
    refused({"image 1 has label 0"});
    fs::remove(folder / "train_y.bin");
    refused({"cannot read", "train_y.bin"});
    write_bytes(folder / "train_X.bin", picture(1) + "x");
    refused({"train_X.bin: 27649 bytes, expected a multiple of 27648"});
    write_bytes(folder / "train_X.bin", "");
    refused({"train_X.bin: 0 bytes"});
}

TEST_CASE("a folder of STL-10 trains on the labeled images, or with --unlabeled on all, judged by the labeled ones") {
    const TemporaryFolder folder;
    put(folder.path(), "train", 20);
    put(folder.path(), "test", 10);
    CHECK(data::open(folder.path()).split_rule == "validation: test_X.bin, 10 images");
    put(folder.path(), "unlabeled", 7);
    auto found = data::open(folder.path());
    CHECK(found.format == "STL-10 binaries");
    CHECK(found.train.size() == 20);
    CHECK(found.train.labeled());
    CHECK(found.bank.empty());
    CHECK(mentions(found.split_rule, {"validation: test_X.bin, 10 images; not used: unlabeled_X.bin, 7 images (--unlabeled trains on them too)"}));
    found = data::open(folder.path(), {}, {.unlabeled = true});
    CHECK(found.train.size() == 27);
    CHECK(found.train.label(26) == data::unlabeled);
    CHECK(found.bank.size() == 20);
    CHECK(found.bank.labeled());
    CHECK(found.validation.size() == 10);
    CHECK(found.validation.labeled());
    CHECK(found.split_rule == "validation: test_X.bin, 10 images, compared with the training images that have labels, 20 images");
    // Alone, the images without labels are a training set, and the test images judge it.
    fs::remove(folder / "train_X.bin");
    found = data::open(folder.path());
    CHECK(found.train.size() == 7);
    CHECK(found.bank.size() == 9);
    fs::remove(folder / "unlabeled_X.bin");
    says([&] { data::open(folder.path()); }, {"test_X.bin, but no training images"});
}
