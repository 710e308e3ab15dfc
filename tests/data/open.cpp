// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/memory.hpp>
#include <doppel/data/open.hpp>
#include <doppel/image/write_png.hpp>

#include "support/support.hpp"

#include <algorithm>
#include <set>

using namespace doppel;
using test::mentions;
using test::message_of;
namespace fs = std::filesystem;

namespace {

void put(const fs::path& path, int count = 1) {
    fs::create_directories(path);
    for (int i = 0; i < count; ++i) image::write_png(path / (std::to_string(i) + ".png"), Image(2, 2, 1));
}

std::string record(int label) { return std::string(1, static_cast<char>(label)) + std::string(3072, 'x'); }

std::string big_endian(std::size_t value) {
    std::string bytes;
    for (int shift : {24, 16, 8, 0}) bytes += static_cast<char>(value >> shift & 255);
    return bytes;
}

std::string idx_images(std::size_t count) {
    return big_endian(0x803) + big_endian(count) + big_endian(1) + big_endian(1) + std::string(count, 'p');
}
std::string idx_labels(const std::string& values) { return big_endian(0x801) + big_endian(values.size()) + values; }

/// How many images of each class.
std::vector<int> counts(const data::Dataset& images) {
    std::vector<int> of(images.classes().size());
    for (std::int64_t i = 0; i < images.size(); ++i) ++of.at(static_cast<std::size_t>(images.label(i)));
    return of;
}

data::Memory labeled(const std::vector<int>& sizes) {
    std::vector<std::int64_t> labels;
    std::vector<std::string> classes;
    for (std::size_t c = 0; c < sizes.size(); ++c) {
        labels.insert(labels.end(), static_cast<std::size_t>(sizes[c]), static_cast<std::int64_t>(c));
        classes.push_back(std::to_string(c));
    }
    const std::size_t count = labels.size();
    return data::Memory(std::vector<Image>(count), std::move(labels), std::move(classes));
}

}  // namespace

TEST_CASE("a tenth of each class is held out, the same for one seed, another for another") {
    const data::Dataset whole = labeled({100, 45, 7, 1, 4});
    const auto parts = data::hold_out(whole, 3);
    CHECK(parts.validation.size() == 15);
    CHECK(parts.train.size() == 142);
    CHECK(counts(parts.validation) == std::vector<int>{10, 4, 1, 0, 0});
    std::set<std::int64_t> all(parts.train.indices.begin(), parts.train.indices.end());
    all.insert(parts.validation.indices.begin(), parts.validation.indices.end());
    CHECK(all.size() == 157);
    CHECK(std::is_sorted(parts.train.indices.begin(), parts.train.indices.end()));
    CHECK(std::is_sorted(parts.validation.indices.begin(), parts.validation.indices.end()));
    CHECK(data::hold_out(whole, 3).validation.indices == parts.validation.indices);
    CHECK(data::hold_out(whole, 4).validation.indices != parts.validation.indices);
    CHECK(parts.validation.indices.front() + 9 != parts.validation.indices[9]);  // not simply the first ones
}

TEST_CASE("each side gets an image whenever there are two") {
    for (const auto& sizes :
         std::vector<std::vector<int>>{{2}, {1, 1}, {1, 2}, {3, 1}, {9}, {1, 1, 1, 1}, {10}, {19}}) {
        const auto parts = data::hold_out(labeled(sizes), 0);
        CHECK(parts.validation.size() == 1);
        CHECK(parts.train.size() >= 1);
    }
    CHECK(counts(data::hold_out(labeled({1, 2}), 0).validation) == std::vector<int>{0, 1});
    CHECK(data::hold_out(labeled({1}), 0).validation.size() == 0);
    CHECK(data::hold_out(labeled({1}), 0).train.size() == 1);
    CHECK(data::hold_out(data::Memory(std::vector<Image>(30)), 0).validation.size() == 3);
}

TEST_CASE("a class-folder tree without splits gives a tenth away and says so") {
    const test::TemporaryFolder folder;
    put(folder / "cat", 30);
    put(folder / "dog", 20);
    const auto found = data::open(folder.path(), {}, {.seed = 1});
    CHECK(found.format == "class folders");
    CHECK(found.split_rule == "held out 5 of 50 images: no validation split found");
    CHECK(counts(found.train) == std::vector<int>{27, 18});
    CHECK(counts(found.validation) == std::vector<int>{3, 2});
    CHECK(found.train.labeled());
}

TEST_CASE("a flat folder is an unlabeled set") {
    const test::TemporaryFolder folder;
    put(folder.path(), 12);
    const auto found = data::open(folder.path());
    CHECK(found.format == "flat folder");
    CHECK(found.train.size() == 11);
    CHECK(found.validation.size() == 1);
    CHECK_FALSE(found.train.labeled());
    const test::TemporaryFolder single;
    put(single.path(), 1);
    CHECK(mentions(data::open(single.path()).split_rule, {"nothing held out"}));
}

TEST_CASE("folders named train, val, validation and test are splits, in whatever case") {
    const test::TemporaryFolder folder;
    put(folder / "Train/a", 3);
    put(folder / "Train/b", 2);
    put(folder / "test/b", 4);
    auto found = data::open(folder.path());
    CHECK(found.split_rule == "validation: folder test, 4 images");
    CHECK(counts(found.train) == std::vector<int>{3, 2});
    CHECK(counts(found.validation) == std::vector<int>{0, 4});  // class b is index 1 there too
    CHECK(found.validation.classes() == std::vector<std::string>{"a", "b"});

    put(folder / "VALIDATION/a", 1);
    found = data::open(folder.path());
    CHECK(found.split_rule == "validation: folder VALIDATION, 1 image; not used: folder test");
    put(folder / "extra/a", 1);
    CHECK(mentions(data::open(folder.path()).split_rule, {"not used: folder test, extra"}));
    put(folder / "val/a", 1);
    CHECK(mentions(message_of([&] { data::open(folder.path()); }),
                   {folder.path().string(), "VALIDATION", "val", "one of them"}));
}

TEST_CASE("a train folder alone is split, a test folder alone is refused") {
    const test::TemporaryFolder folder;
    put(folder / "train/a", 10);
    put(folder / "train/b", 10);
    CHECK(data::open(folder.path()).split_rule == "held out 2 of 20 images: no validation split found");
    fs::rename(folder / "train", folder / "test");
    CHECK(mentions(message_of([&] { data::open(folder.path()); }),
                   {folder.path().string(), "folder test", "no training images"}));
}

TEST_CASE("a validation path is used whole, or its validation split when it has splits") {
    const test::TemporaryFolder folder, other;
    put(folder / "train/a", 3);
    put(folder / "train/b", 3);
    put(folder / "val/a", 2);
    put(other / "b", 5);
    auto found = data::open(folder.path(), other.path());
    CHECK(found.split_rule == "validation: " + other.path().string() + ", 5 images; not used: folder val");
    CHECK(counts(found.validation) == std::vector<int>{0, 5});
    CHECK(found.train.size() == 6);
    found = data::open(folder / "train", folder.path());
    CHECK(found.split_rule == "validation: folder val of " + folder.path().string() + ", 2 images");
    CHECK(found.train.size() == 6);
    CHECK(mentions(message_of([&] { data::open(folder.path(), other / "none"); }), {"no such file or folder", "none"}));
}

TEST_CASE("a validation class that training lacks is named") {
    const test::TemporaryFolder folder;
    put(folder / "train/a");
    put(folder / "train/b");
    put(folder / "val/a");
    put(folder / "val/socks");
    CHECK(mentions(message_of([&] { data::open(folder.path()); }),
                   {(folder / "val").string(), "class socks", "2 classes"}));
}

TEST_CASE("where one side has no labels, that is said") {
    const test::TemporaryFolder folder;
    put(folder / "train/a", 2);
    put(folder / "train/b", 2);
    put(folder / "val", 2);
    auto found = data::open(folder.path());
    CHECK(mentions(found.split_rule, {"without labels"}));
    CHECK(found.validation.label(0) == data::unlabeled);
    found = data::open(folder / "val", folder / "train");
    CHECK(mentions(found.split_rule, {"labels ignored"}));
    CHECK(found.validation.classes().empty());
    CHECK(found.validation.label(0) == data::unlabeled);
}

TEST_CASE("CIFAR-10 binaries are recognized, as a folder and as a file") {
    const test::TemporaryFolder folder;
    std::string ten;
    for (int i = 0; i < 10; ++i) ten += record(i);
    test::write_bytes(folder / "data_batch_1.bin", ten);
    auto found = data::open(folder.path());
    CHECK(found.format == "CIFAR-10 binaries");
    CHECK(found.split_rule == "held out 1 of 10 images: no validation split found");
    test::write_bytes(folder / "test_batch.bin", record(1) + record(2));
    found = data::open(folder.path());
    CHECK(found.split_rule == "validation: test_batch.bin, 2 images");
    CHECK(found.train.size() == 10);
    CHECK(found.validation.label(1) == 2);
    found = data::open(folder / "data_batch_1.bin", folder.path());
    CHECK(found.validation.size() == 2);
    // Folders that hold the other split than their name says.
    const test::TemporaryFolder mixed;
    fs::create_directories(mixed / "train");
    fs::create_directories(mixed / "val");
    test::write_bytes(mixed / "train/test_batch.bin", record(1));
    test::write_bytes(mixed / "val/data_batch_1.bin", record(1) + record(2));
    CHECK(data::open(mixed.path()).split_rule ==
          "training: folder train, its test images; validation: folder val, its training images, 2 images");
    fs::remove(folder / "data_batch_1.bin");
    CHECK(mentions(message_of([&] { data::open(folder.path()); }), {"test_batch.bin", "no training images"}));
}

TEST_CASE("IDX files are recognized, as a folder and as a file") {
    const test::TemporaryFolder folder;
    test::write_bytes(folder / "train-images-idx3-ubyte", idx_images(4));
    test::write_bytes(folder / "train-labels-idx1-ubyte", idx_labels(std::string("\0\1\2\2", 4)));
    test::write_bytes(folder / "t10k-images-idx3-ubyte", idx_images(2));
    test::write_bytes(folder / "t10k-labels-idx1-ubyte", idx_labels(std::string("\1\0", 2)));
    auto found = data::open(folder.path());
    CHECK(found.format == "IDX files");
    CHECK(found.split_rule == "validation: t10k-images-idx3-ubyte, 2 images");
    CHECK(found.train.classes().size() == 3);
    CHECK(found.validation.classes().size() == 3);
    CHECK(found.validation.label(0) == 1);
    found = data::open(folder / "train-images-idx3-ubyte");
    CHECK(found.train.size() == 3);
    CHECK(found.train.labeled());
    CHECK(mentions(message_of([&] { data::open(folder / "train-labels-idx1-ubyte"); }),
                   {"contains labels, expected images"}));
    test::write_bytes(folder / "t10k-labels-idx1-ubyte", idx_labels(std::string("\1\5", 2)));
    CHECK(mentions(message_of([&] { data::open(folder.path()); }), {"class 5 is not among the 3 classes"}));
}

TEST_CASE("what is no data set is refused in one line with its path") {
    const test::TemporaryFolder folder;
    const auto refused = [&](const fs::path& path, std::initializer_list<std::string_view> parts) {
        const auto message = message_of([&] { data::open(path); });
        CAPTURE(message);
        CHECK(mentions(message, parts));
        CHECK(mentions(message, {path.string()}));
        CHECK(message.find('\n') == std::string::npos);
    };
    refused(folder / "none", {"no such file or folder"});
    refused(folder.path(), {"no JPEG, PNG or WebP image"});
    test::write_bytes(folder / "notes.txt", "text");
    refused(folder / "notes.txt", {"not a data set, expected a folder of images, CIFAR-10 binaries or IDX files"});
    test::write_bytes(folder / "photos.zip", "PK\x03\x04...");
    refused(folder / "photos.zip", {"unpack it first"});
    put(folder.path());
    refused(folder / "0.png", {"one image, expected a folder"});
    test::write_bytes(folder / "x.bin", "text");
    refused(folder / "x.bin", {"4 bytes, expected a multiple of 3073"});
}

TEST_CASE("clothing-2k is recognized as class folders", "[data]") {
    const auto real = test::real_images("clothing-2k");
    if (!real) SKIP("no clothing-2k in DOPPEL_TEST_DATA");
    const auto clothing = data::open(*real);
    CHECK(clothing.format == "class folders");
    CHECK(clothing.train.size() == 1354);
    CHECK(clothing.split_rule == "validation: folder validation, 341 images; not used: folder test");
    CHECK(clothing.validation.classes().size() == 10);
    const auto alone = data::open(*real / "train", {}, {.seed = 0});
    CHECK(alone.split_rule == "held out 135 of 1354 images: no validation split found");
}

TEST_CASE("CIFAR-10's records are recognized, and a part is held out", "[data]") {
    const auto real = test::real_images("cifar10-bin-sample");
    if (!real) SKIP("no cifar10-bin-sample in DOPPEL_TEST_DATA");
    CHECK(data::open(*real).split_rule == "held out 400 of 4000 images: no validation split found");
}

TEST_CASE("Fashion-MNIST is recognized with its test images", "[data]") {
    const auto real = test::real_images("fashion-mnist");
    if (!real) SKIP("no fashion-mnist in DOPPEL_TEST_DATA");
    const auto fashion = data::open(*real);
    CHECK(fashion.format == "IDX files");
    CHECK(fashion.train.size() == 60000);
    CHECK(fashion.split_rule == "validation: t10k-images-idx3-ubyte.gz, 10000 images");
}

TEST_CASE("a packed archive is refused with what to do", "[data]") {
    const auto real = test::real_images("cifar10-jpeg");
    if (!real) SKIP("no cifar10-jpeg in DOPPEL_TEST_DATA");
    CHECK(mentions(message_of([&] { data::open(*real / "cifar10-jpeg-test.tar.gz"); }), {"unpack it first"}));
}
