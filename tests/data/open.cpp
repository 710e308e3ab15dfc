// SPDX-License-Identifier: Apache-2.0
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

}  // namespace

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
    CHECK(mentions(found.split_rule, {"validation: folder VALIDATION, 1 image; not used: folder test, 4 images", "--val"}));
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
    CHECK(found.split_rule == "validation: " + other.path().string() + ", 5 images; not used: folder val, 2 images");
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

TEST_CASE("beside labeled training images, validation images without labels give way to a tenth of the training images") {
    const test::TemporaryFolder folder;
    put(folder / "train/a", 10);
    put(folder / "train/b", 10);
    put(folder / "val", 2);
    const std::string rule = "held out 2 of 20 images: folder val has no labels; not used: folder val, 2 images";
    auto found = data::open(folder.path());
    CHECK(found.split_rule == rule);
    CHECK(found.train.size() == 18);
    CHECK(found.validation.labeled());
    found = data::open(folder / "train", folder / "val");
    CHECK(mentions(found.split_rule, {"held out 2 of 20 images", (folder / "val").string() + " has no labels"}));

    // Without labels on either side there is nothing to hold out for.
    put(folder / "flat", 5);
    found = data::open(folder / "flat", folder / "val");
    CHECK(found.split_rule == "validation: " + (folder / "val").string() + ", 2 images");
    CHECK(found.train.size() == 5);
    CHECK(found.bank.empty());
}

TEST_CASE("unlabeled training images are judged by a labeled set: its own parts, or a tenth of it against the rest") {
    const test::TemporaryFolder folder, judge, bank;
    put(folder.path(), 7);
    put(judge / "train/a", 3);
    put(judge / "train/b", 3);
    put(judge / "test/a", 1);
    put(judge / "test/b", 2);
    auto found = data::open(folder.path(), judge.path());
    CHECK(found.train.size() == 7);
    CHECK_FALSE(found.train.labeled());
    CHECK(counts(found.bank) == std::vector<int>{3, 3});
    CHECK(counts(found.validation) == std::vector<int>{1, 2});
    CHECK(found.split_rule == "validation: folder test of " + judge.path().string() + ", 3 images, compared with folder train of " +
                                  judge.path().string() + ", 6 images");

    found = data::open(folder.path(), judge / "train");
    CHECK(found.train.size() == 7);
    CHECK(found.bank.size() == 5);
    CHECK(found.validation.size() == 1);
    CHECK(found.split_rule == "held out 1 of 6 images of " + (judge / "train").string() + ", to compare them with the others");

    // A bank of its own: with its own validation images, with others, and with a tenth of it.
    found = data::open(folder.path(), {}, {.bank = judge.path()});
    CHECK(found.bank.size() == 6);
    CHECK(found.validation.size() == 3);
    put(bank / "b", 15);
    put(bank / "a", 5);
    found = data::open(folder.path(), judge / "test", {.bank = bank.path()});
    CHECK(found.train.size() == 7);
    CHECK(counts(found.bank) == std::vector<int>{5, 15});
    CHECK(counts(found.validation) == std::vector<int>{1, 2});
    found = data::open(folder.path(), {}, {.bank = bank.path()});
    CHECK(found.train.size() == 7);
    CHECK(found.bank.size() == 18);
    CHECK(found.validation.size() == 2);
    CHECK(mentions(message_of([&] { data::open(folder.path(), {}, {.bank = folder.path()}); }), {folder.path().string(), "must have labels"}));

    // A labeled training set keeps its own labels, and a bank takes their place if it is asked for.
    CHECK(data::open(judge / "train", judge.path()).bank.empty());
    found = data::open(judge.path(), {}, {.bank = bank.path()});
    CHECK(found.train.size() == 6);
    CHECK(found.bank.size() == 20);
    CHECK(found.validation.size() == 3);
}

TEST_CASE("a labeled set inside the training images is not trained on") {
    const test::TemporaryFolder folder;
    put(folder / "2019", 4);
    put(folder / "2020", 5);
    put(folder / "judge/a", 10);
    put(folder / "judge/b", 10);
    const auto found = data::open(folder.path(), folder / "judge", {.unlabeled = true});
    CHECK(found.train.size() == 9);
    CHECK(found.bank.size() == 18);
    REQUIRE(found.notes.size() == 1);
    CHECK(mentions(found.notes.front(), {(folder / "judge").string(), "not trained on"}));
}

TEST_CASE("a folder that can be a split or a class is refused with both readings, and each has its option") {
    const test::TemporaryFolder folder;
    const auto message = [&] { return message_of([&] { data::open(folder.path()); }); };
    const auto as = [&](data::Folders folders) { return data::open(folder.path(), {}, {.folders = folders}); };
    put(folder / "bus", 20);
    put(folder / "car", 28);
    put(folder / "train", 24);
    CHECK(mentions(message(), {folder.path().string(), "train can be a split or a class, next to bus, car (48 images)",
                               "--folders splits trains on train (24 images) and leaves out bus, car (48 images)",
                               "--folders classes takes all folders as classes (72 images)", "--unlabeled"}));
    auto found = as(data::Folders::classes);
    CHECK(found.train.classes() == std::vector<std::string>{"bus", "car", "train"});
    CHECK(found.train.size() + found.validation.size() == 72);
    found = as(data::Folders::splits);
    CHECK(found.train.size() + found.validation.size() == 24);
    CHECK(mentions(found.split_rule, {"not used: bus, car, 48 images"}));
    found = data::open(folder.path(), {}, {.unlabeled = true});
    CHECK(found.train.size() + found.validation.size() == 72);
    CHECK(found.train.classes().empty());

    fs::rename(folder / "train", folder / "test");
    CHECK(mentions(message(), {"test can be a split or a class", "trains on bus, car (48 images) and validates on test (24 images)"}));
    CHECK(as(data::Folders::classes).train.classes().size() == 3);
    found = as(data::Folders::splits);
    CHECK(found.train.classes() == std::vector<std::string>{"bus", "car"});
    CHECK(found.train.size() + found.validation.size() == 48);
    CHECK(mentions(found.split_rule, {"test, 24 images"}));
}

TEST_CASE("images beside splits are not left aside by a remark") {
    const test::TemporaryFolder folder;
    put(folder / "seg_train/seg_train/a", 3);
    put(folder / "seg_train/seg_train/b", 3);
    put(folder / "seg_test/seg_test/a", 2);
    put(folder / "seg_test/seg_test/b", 2);
    auto found = data::open(folder.path());
    CHECK(found.train.classes() == std::vector<std::string>{"a", "b"});
    CHECK(found.split_rule == "validation: folder seg_test, 4 images");
    put(folder / "seg_pred/seg_pred", 5);
    const auto message = message_of([&] { data::open(folder.path()); });
    CHECK(mentions(message, {"trains on seg_train (6 images), validates on seg_test (4 images) and leaves out seg_pred (5 images)"}));
    found = data::open(folder.path(), {}, {.folders = data::Folders::splits});
    CHECK(mentions(found.split_rule, {"4 images; not used: seg_pred, 5 images"}));
    fs::remove_all(folder / "seg_pred");
    put(folder.path(), 1);
    CHECK(mentions(message_of([&] { data::open(folder.path()); }), {"leaves out 1 loose image;", "--unlabeled"}));
}

TEST_CASE("splits inside class folders are not mixed") {
    const test::TemporaryFolder folder;
    put(folder / "cat/train", 3);
    put(folder / "cat/test", 2);
    put(folder / "dog/Train", 4);
    put(folder / "dog/test", 1);
    CHECK(mentions(message_of([&] { data::open(folder.path()); }),
                   {"named train (7 images)", "--folders splits", "--folders classes takes all images of each class (10 images)"}));
    auto found = data::open(folder.path(), {}, {.folders = data::Folders::splits});
    CHECK(counts(found.train) == std::vector<int>{3, 4});
    CHECK(counts(found.validation) == std::vector<int>{2, 1});
    found = data::open(folder.path(), {}, {.folders = data::Folders::classes});
    CHECK(found.train.size() + found.validation.size() == 10);
    put(folder / "dog", 1);
    CHECK(mentions(message_of([&] { data::open(folder.path(), {}, {.folders = data::Folders::splits}); }), {"1 image", "in no split"}));
}

TEST_CASE("folders that are no classes are taken as a whole when asked for, and the refusal says how") {
    const test::TemporaryFolder folder;
    put(folder.path(), 3);
    put(folder / "2019/trip", 2);
    put(folder / "2020", 5);
    CHECK(mentions(message_of([&] { data::open(folder.path()); }), {"0.png", "2019", "--unlabeled"}));
    const auto found = data::open(folder.path(), {}, {.unlabeled = true});
    CHECK(found.format == "flat folder");
    CHECK(found.train.size() + found.validation.size() == 10);
    CHECK_FALSE(found.train.labeled());
    // Splits that nothing else stands beside stay splits.
    const test::TemporaryFolder splits;
    put(splits / "train/a", 3);
    put(splits / "test/a", 2);
    CHECK(data::open(splits.path(), {}, {.unlabeled = true}).train.size() == 3);
}

TEST_CASE("a folder around the folders, as archives unpack, is looked through; a single class stays one") {
    const test::TemporaryFolder folder;
    put(folder / "archive/data/train/a", 3);
    put(folder / "archive/data/train/b", 3);
    put(folder / "archive/data/valid/a", 2);
    auto found = data::open(folder.path());
    CHECK(found.split_rule == "validation: folder valid, 2 images");
    CHECK(counts(found.train) == std::vector<int>{3, 3});
    CHECK(counts(found.validation) == std::vector<int>{2, 0});
    const test::TemporaryFolder single;
    put(single / "only", 3);
    CHECK(data::open(single.path()).train.classes() == std::vector<std::string>{"only"});
}

TEST_CASE("a split's folder without images is no split, and that is said") {
    const test::TemporaryFolder folder;
    put(folder / "train/a", 10);
    put(folder / "train/b", 10);
    fs::create_directories(folder / "test");
    const auto found = data::open(folder.path());
    CHECK(mentions(found.split_rule, {"held out 2 of 20 images"}));
    REQUIRE(found.notes.size() == 1);
    CHECK(mentions(found.notes.front(), {"no images in " + (folder / "test").string()}));
}

#if DOPPEL_PNG
TEST_CASE("held-out images are whole: what damaged ones leave open comes from others, and each class keeps one") {
    const test::TemporaryFolder folder;
    put(folder / "a", 20);
    put(folder / "b", 20);
    for (int i = 0; i < 19; ++i) test::write_bytes(folder / "a" / (std::to_string(i) + ".png"), "damaged");
    for (int i = 0; i < 10; ++i) test::write_bytes(folder / "b" / (std::to_string(i) + ".png"), "");
    const auto found = data::open(folder.path(), {}, {.seed = 1});
    CHECK(counts(found.train) == std::vector<int>{20, 16});
    CHECK(counts(found.validation) == std::vector<int>{0, 4});
    for (std::int64_t i = 0; i < found.validation.size(); ++i) CHECK_NOTHROW(found.validation.image(i));
    for (int i = 0; i < 19; ++i) test::write_bytes(folder / "b" / (std::to_string(i) + ".png"), "");
    CHECK(data::open(folder.path(), {}, {.seed = 1}).validation.size() == 1);
    test::write_bytes(folder / "b/19.png", "");
    CHECK(mentions(data::open(folder.path(), {}, {.seed = 1}).split_rule, {"nothing held out: fewer than two images can be decoded"}));
}
#endif

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

TEST_CASE("a list of files is a data set, with its splits, and judges like any other") {
    const test::TemporaryFolder folder;
    put(folder / "images", 12);
    std::string rows = "path,label,split\n";
    for (int i = 0; i < 12; ++i)
        rows += "images/" + std::to_string(i) + ".png," + (i % 2 ? "dog" : "cat") + (i < 8 ? ",train\n" : i < 10 ? ",val\n" : ",test\n");
    test::write_bytes(folder / "all.csv", rows);
    auto found = data::open(folder / "all.csv");
    CHECK(found.format == "list of files");
    CHECK(found.split_rule == "validation: split val, 2 images; not used: split test, 2 images, kept for a final test");
    CHECK(counts(found.train) == std::vector<int>{4, 4});
    CHECK(counts(found.validation) == std::vector<int>{1, 1});
    test::write_bytes(folder / "more.csv", rows + "images/gone.png,dog,train\n");
    found = data::open(folder / "more.csv");
    REQUIRE(found.skipped.size() == 1);
    CHECK(mentions(found.skipped[0], {"more.csv:14: images/gone.png: No such file"}));
    test::write_bytes(folder / "judge.txt", "images/0.png 0\nimages/1.png 1\nimages/2.png 0\nimages/3.png 1\n");
    found = data::open(folder / "images", folder / "judge.txt");
    CHECK(found.train.size() == 12);
    CHECK(found.bank.size() == 3);
    CHECK(mentions(found.split_rule, {"held out 1 of 4 images of " + (folder / "judge.txt").string()}));
    CHECK(data::open(folder / "all.csv", {}, {.unlabeled = true}).train.classes().empty());
    test::write_bytes(folder / "test.csv", "path,split\nimages/0.png,test\n");
    CHECK(mentions(message_of([&] { data::open(folder / "test.csv"); }), {"test.csv has split test, but no training images"}));
}

TEST_CASE("where only some training images have labels, these are held out from, and compared with") {
    const test::TemporaryFolder folder;
    put(folder.path(), 60);
    std::string rows;
    for (int i = 0; i < 60; ++i) rows += std::to_string(i) + ".png," + (i < 20 ? "a" : i < 40 ? "b" : "") + "\n";
    test::write_bytes(folder / "some.csv", rows);
    auto found = data::open(folder / "some.csv", {}, {.seed = 1});
    CHECK(found.train.size() == 56);
    CHECK(counts(found.validation) == std::vector<int>{2, 2});
    CHECK(found.validation.labeled());
    CHECK(counts(found.bank) == std::vector<int>{18, 18});
    CHECK(found.split_rule ==
          "held out 4 of 60 images: no validation split found, compared with the training images that have labels, 36 images");
    test::write_bytes(folder / "val.txt", "0.png 0\n");
    test::write_bytes(folder / "val.csv", "0.png,b\n1.png,a\n");
    found = data::open(folder / "some.csv", folder / "val.csv");
    CHECK(found.train.size() == 60);
    CHECK(found.validation.label(0) == 1);
    CHECK(found.bank.size() == 40);
    // One class and images without: nothing to compare.
    test::write_bytes(folder / "one.csv", "0.png,a\n1.png,\n2.png,a\n");
    CHECK(data::open(folder / "one.csv").bank.empty());
}

TEST_CASE("extra images are trained on without labels, beside labeled ones that judge them") {
    const test::TemporaryFolder folder;
    put(folder / "photos/a", 20);
    put(folder / "photos/b", 20);
    put(folder / "photos/more/x", 3);
    put(folder / "more", 7);
    auto found = data::open(folder / "photos", {}, {.extra = folder / "photos/more"});
    CHECK(found.train.size() == 36 + 3);
    CHECK(found.train.classes() == std::vector<std::string>{"a", "b"});
    CHECK(found.train.label(38) == data::unlabeled);
    CHECK(found.notes.empty());
    CHECK(counts(found.validation) == std::vector<int>{2, 2});
    CHECK(counts(found.bank) == std::vector<int>{18, 18});
    CHECK(mentions(found.split_rule, {"training: 40 images and, without labels, 3 images of " + (folder / "photos/more").string()}));
    CHECK(found.format == "class folders and flat folder");
    put(folder / "split/train", 4);
    put(folder / "split/test", 2);
    found = data::open(folder / "photos/a", {}, {.extra = folder / "split"});
    CHECK(found.train.size() == 18 + 4);
    REQUIRE(found.notes.size() == 1);
    CHECK(found.notes[0] == "not used: folder test of " + (folder / "split").string());
    found = data::open(folder / "photos", folder / "photos", {.extra = folder / "more"});
    CHECK(found.train.size() == 43 + 7);
}

TEST_CASE("a fraction of the training images leaves the validation images and the classes' proportions as they are") {
    const test::TemporaryFolder folder;
    put(folder / "a", 40);
    put(folder / "b", 20);
    const auto all = data::open(folder.path(), {}, {.seed = 3}), part = data::open(folder.path(), {}, {.seed = 3, .fraction = 0.25});
    CHECK(counts(part.train) == std::vector<int>{9, 5});
    CHECK(part.validation.fingerprint() == all.validation.fingerprint());
    CHECK(mentions(part.split_rule, {"training: 14 of 54 images, a fraction of 0.25 per class; held out 6 of 60 images"}));
    CHECK(mentions(message_of([&] { data::open(folder.path(), {}, {.fraction = 0}); }), {"fraction", "above 0", "got 0"}));
}

TEST_CASE("opening says how far it is, while it searches and while it decodes what it holds out") {
    const test::TemporaryFolder folder;
    put(folder.path(), 20);
    std::string all;
    const auto say = [&](const std::string& line) { all += line + "\n"; };
    data::open(folder.path(), {}, {.progress = {.say = say, .seconds = 0}});
    CHECK(mentions(all, {"20 images so far\n", " of 2 images, to hold out none that is damaged\n"}));
    all.clear();
    data::open(folder.path(), {}, {.progress = {.say = say}});
    CHECK(all.empty());
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
    refused(folder.path(), {" image"});
    test::write_bytes(folder / "one.tar", "x");
    test::write_bytes(folder / "two.zip", "x");
    refused(folder.path(), {" image", "but 2 archives (unpack first)"});
    test::write_bytes(folder / "notes.md", "text");
    refused(folder / "notes.md", {"not a data set, expected a folder of images, a list of files", "CIFAR or STL-10 binaries", "IDX files"});
    test::write_bytes(folder / "notes.txt", "text");
    refused(folder / "notes.txt", {"notes.txt:1: text: No such file", "1 of the list's 1 files are not there"});
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
    CHECK(clothing.split_rule == "validation: folder validation, 341 images; not used: folder test, 372 images, kept for a final test (--val evaluates on it)");
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
