// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/cifar.hpp>
#include <doppel/data/open.hpp>

#include "support/support.hpp"

using namespace doppel;
using test::mentions;
using test::message_of;

namespace {

/// A record whose red is its label, green the column, blue the row.
std::string record(int label) {
    std::string bytes(1, static_cast<char>(label));
    bytes.append(1024, static_cast<char>(label));
    for (int i = 0; i < 1024; ++i) bytes += static_cast<char>(i % 32);
    for (int i = 0; i < 1024; ++i) bytes += static_cast<char>(i / 32);
    return bytes;
}

}  // namespace

TEST_CASE("CIFAR-10 batches are read in order, planes become pixels") {
    const test::TemporaryFolder folder;
    test::write_bytes(folder / "data_batch_2.bin", record(7) + record(9));
    test::write_bytes(folder / "data_batch_1.bin", record(3));
    test::write_bytes(folder / "test_batch.bin", record(5));
    test::write_bytes(folder / "readme.html", "<html>");
    const data::Cifar10 train(folder.path()), test(folder.path(), data::Split::test);
    REQUIRE(train.size() == 3);
    REQUIRE(test.size() == 1);
    CHECK(train.label(0) == 3);
    CHECK(train.label(1) == 7);
    CHECK(train.label(2) == 9);
    CHECK(test.label(0) == 5);
    CHECK(train.classes().size() == 10);
    CHECK(train.classes()[3] == "cat");

    const Image image = train.image(2);
    CHECK(image.width == 32);
    CHECK(image.height == 32);
    CHECK(image.channels == 3);
    const std::uint8_t* pixel = image.at(20, 11);
    CHECK(static_cast<int>(pixel[0]) == 9);
    CHECK(static_cast<int>(pixel[1]) == 20);
    CHECK(static_cast<int>(pixel[2]) == 11);
    CHECK(mentions(message_of([&] { train.image(3); }), {"index must be 0 to 2, got 3"}));
}

TEST_CASE("one batch is a data set, and names come from batches.meta.txt") {
    const test::TemporaryFolder folder;
    test::write_bytes(folder / "some.bin", record(1));
    test::write_bytes(folder / "batches.meta.txt", "A\r\nB\r\nC\nD\nE\nF\nG\nH\nI\nJ\n\n");
    const data::Cifar10 images(folder / "some.bin", data::Split::test);
    CHECK(images.size() == 1);
    CHECK(images.classes() == std::vector<std::string>{"A", "B", "C", "D", "E", "F", "G", "H", "I", "J"});
    test::write_bytes(folder / "batches.meta.txt", "A\nB\n");
    CHECK(mentions(message_of([&] { data::Cifar10(folder / "some.bin"); }),
                   {"batches.meta.txt", "2 class names, expected 10"}));
}

TEST_CASE("files that are no CIFAR-10 batches are refused with path and value") {
    const test::TemporaryFolder folder;
    CHECK(mentions(message_of([&] { data::Cifar10(folder.path()); }),
                   {"no data_batch_*.bin in ", folder.path().string()}));
    CHECK(mentions(message_of([&] { data::Cifar10(folder.path(), data::Split::test); }), {"no test_batch.bin in "}));
    CHECK(mentions(message_of([&] { data::Cifar10(folder / "none"); }), {"no such folder", "none"}));
    const auto file = folder / "data_batch_1.bin";
    test::write_bytes(file, record(1) + "x");
    CHECK(
        mentions(message_of([&] { data::Cifar10(folder.path()); }), {file.string(), "3074 bytes", "multiple of 3073"}));
    test::write_bytes(file, "");
    CHECK(mentions(message_of([&] { data::Cifar10(folder.path()); }), {file.string(), ": 0 bytes"}));
    test::write_bytes(file, record(1) + record(10));
    CHECK(mentions(message_of([&] { data::Cifar10{file}; }), {file.string(), "image 1 has label 10, expected 0 to 9"}));
}

TEST_CASE("the published CIFAR-10 records are read", "[data]") {
    const auto real = test::real_images("cifar10-bin-sample");
    if (!real) SKIP("no cifar10-bin-sample in DOPPEL_TEST_DATA");
    const data::Cifar10 images(*real);
    REQUIRE(images.size() == 4000);
    CHECK(images.label(0) == 6);  // the first image of data_batch_1 is a frog, the second a truck
    CHECK(images.label(1) == 9);
    const Image frog = images.image(0);
    CHECK(static_cast<int>(frog.at(0, 0)[0]) == 59);
    CHECK(static_cast<int>(frog.at(0, 0)[1]) == 62);
    CHECK(static_cast<int>(frog.at(0, 0)[2]) == 63);
}

TEST_CASE("CIFAR-100 is read with its fine labels, and recognized as a folder and as a file") {
    const test::TemporaryFolder folder;
    const auto fine = [](int coarse, int label) { return std::string(1, static_cast<char>(coarse)) + record(label); };
    test::write_bytes(folder / "train.bin", fine(19, 99) + fine(0, 7));
    test::write_bytes(folder / "test.bin", fine(3, 42));
    const data::Cifar100 train(folder.path()), test(folder.path(), data::Split::test);
    REQUIRE(train.size() == 2);
    CHECK(train.label(0) == 99);
    CHECK(train.label(1) == 7);
    CHECK(test.label(0) == 42);
    CHECK(train.classes().size() == 100);
    CHECK(train.classes()[42] == "42");
    CHECK(static_cast<int>(train.image(1).at(20, 11)[0]) == 7);
    CHECK(static_cast<int>(train.image(1).at(20, 11)[1]) == 20);
    auto found = data::open(folder.path());
    CHECK(found.format == "CIFAR-100 binaries");
    CHECK(found.split_rule == "validation: test.bin, 1 image");
    CHECK(found.train.size() == 2);
    CHECK(data::open(folder / "train.bin").train.label(0) == 99);
    std::string names;
    for (int i = 0; i < 100; ++i) names += "class " + std::to_string(i) + "\n";
    test::write_bytes(folder / "fine_label_names.txt", names);
    CHECK(data::Cifar100(folder / "test.bin").classes()[42] == "class 42");
    test::write_bytes(folder / "test.bin", fine(3, 100));
    CHECK(mentions(message_of([&] { data::open(folder.path()); }), {"test.bin: image 0 has label 100, expected 0 to 99"}));
    test::write_bytes(folder / "train.bin", fine(3, 1) + "x");
    CHECK(mentions(message_of([&] { data::open(folder.path()); }), {"train.bin: 3075 bytes, expected a multiple of 3074"}));
}
