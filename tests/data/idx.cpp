// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/idx.hpp>

#include "support/support.hpp"

using namespace doppel;
using test::mentions;
using test::message_of;
namespace fs = std::filesystem;

namespace {

std::string big_endian(std::size_t value) {
    std::string bytes;
    for (int shift : {24, 16, 8, 0}) bytes += static_cast<char>(value >> shift & 255);
    return bytes;
}

std::string labels(const std::string& values) { return big_endian(0x801) + big_endian(values.size()) + values; }

/// Images of 3 × 2 pixels that count up.
std::string images(std::size_t count) {
    std::string bytes = big_endian(0x803) + big_endian(count) + big_endian(2) + big_endian(3);
    for (std::size_t i = 0; i < 6 * count; ++i) bytes += static_cast<char>(i);
    return bytes;
}

void write_gzip(const fs::path& path, const std::string& bytes) {
    gzFile file = gzopen(path.c_str(), "wb");
    REQUIRE(file != nullptr);
    REQUIRE(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())) == static_cast<int>(bytes.size()));
    REQUIRE(gzclose(file) == Z_OK);
}

}  // namespace

TEST_CASE("IDX images and labels are read, plain and gzip alike") {
    const test::TemporaryFolder folder;
    test::write_bytes(folder / "plain", images(4));
    write_gzip(folder / "packed", images(4));
    test::write_bytes(folder / "labels", labels(std::string("\2\0\1\2", 4)));
    for (const char* name : {"plain", "packed"}) {
        const data::Idx digits(folder / name, folder / "labels");
        REQUIRE(digits.size() == 4);
        CHECK(digits.classes() == std::vector<std::string>{"0", "1", "2"});
        CHECK(digits.label(0) == 2);
        CHECK(digits.label(1) == 0);
        const Image image = digits.image(2);
        CHECK(image.width == 3);
        CHECK(image.height == 2);
        CHECK(image.channels == 1);
        CHECK(image.pixels == std::vector<std::uint8_t>{12, 13, 14, 15, 16, 17});
        CHECK(mentions(message_of([&] { digits.image(-1); }), {"index must be 0 to 3, got -1"}));
    }
    const data::Idx bare(folder / "plain");
    CHECK(bare.classes().empty());
    CHECK(bare.label(3) == data::unlabeled);
}

TEST_CASE("IDX files that are not what they must be are refused with path, value and expectation") {
    const test::TemporaryFolder folder;
    const auto file = folder / "images";
    const auto refused = [&](const std::string& bytes, std::initializer_list<std::string_view> parts) {
        test::write_bytes(file, bytes);
        const auto message = message_of([&] { data::Idx{file}; });
        CAPTURE(message);
        CHECK(message.starts_with("Idx: " + file.string() + ": "));
        CHECK(mentions(message, parts));
    };
    refused("", {"0 bytes, expected a header of 16"});
    refused(images(2).substr(0, 15), {"15 bytes, expected a header of 16"});
    refused(labels(std::string(20, '\1')), {"magic number 0x00000801, expected 0x00000803"});
    refused("\x89PNG and sixteen more bytes", {"magic number 0x89504e47"});
    refused(images(2).substr(0, 27), {"11 bytes after the header, expected 2 x 2 x 3 = 12"});
    refused(images(2) + "x", {"more bytes after the header than 2 x 2 x 3 = 12"});
    refused(images(0), {"sizes 0 x 2 x 3"});
    const auto huge = big_endian(0xFFFFFFFF);
    refused(big_endian(0x803) + huge + huge + huge, {"4294967295 x 4294967295 x 4294967295"});
    refused(big_endian(0x803) + big_endian(1000000) + big_endian(1000) + big_endian(1000) + "abc",
            {"3 bytes", "= 1000000000000"});
    CHECK(mentions(message_of([&] { data::Idx{folder / "none"}; }), {"cannot read ", "none", "No such file"}));
    CHECK(mentions(message_of([&] { data::Idx{folder.path()}; }), {"cannot read ", folder.path().string()}));

    test::write_bytes(file, images(2));
    test::write_bytes(folder / "labels", labels("\1"));
    CHECK(mentions(message_of([&] { data::Idx(file, folder / "labels"); }),
                   {"labels: 1 labels, expected 2", file.string()}));
}

TEST_CASE("damaged and truncated gzip data are refused") {
    const test::TemporaryFolder folder;
    write_gzip(folder / "whole.gz", images(200));
    const std::string whole = test::read_text(folder / "whole.gz");
    for (std::size_t size = 2; size < whole.size(); size += 37) {
        test::write_bytes(folder / "cut.gz", whole.substr(0, size));
        CAPTURE(size);
        CHECK(message_of([&] { data::Idx{folder / "cut.gz"}; }).starts_with("Idx: "));
    }
    test::write_bytes(folder / "cut.gz", whole.substr(0, whole.size() - 1));
    CHECK(mentions(message_of([&] { data::Idx{folder / "cut.gz"}; }), {"cut.gz", "end too early"}));
    std::string damaged = whole;
    damaged[damaged.size() - 6] ^= 1;  // in the checksum
    test::write_bytes(folder / "cut.gz", damaged);
    CHECK(mentions(message_of([&] { data::Idx{folder / "cut.gz"}; }), {"cut.gz", "incorrect data check"}));
}

TEST_CASE("images and labels find one another by name") {
    for (const auto& [image_name, label_name] : std::vector<std::pair<std::string, std::string>>{
             {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"},
             {"train-images.idx3-ubyte", "train-labels.idx1-ubyte"},
             {"train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz"},
             {"emnist-digits-train-images-idx3-ubyte", "emnist-digits-train-labels-idx1-ubyte"}}) {
        const test::TemporaryFolder folder;
        CAPTURE(image_name, label_name);
        test::write_bytes(folder / image_name, images(2));
        if (label_name.ends_with(".gz"))
            write_gzip(folder / label_name, labels("\1\3"));
        else
            test::write_bytes(folder / label_name, labels("\1\3"));
        const data::Idx digits = data::idx_folder(folder.path());
        CHECK(digits.label(1) == 3);
        CHECK(mentions(message_of([&] { data::idx_folder(folder.path(), data::Split::test); }),
                       {"no t10k-images", folder.path().string()}));
        test::write_bytes(folder / "t10k-images-idx3-ubyte", images(5));
        CHECK(data::idx_folder(folder.path(), data::Split::test).size() == 5);
        CHECK(data::idx_folder(folder.path(), data::Split::test).classes().empty());
        write_gzip(folder / (image_name + ".gz"), images(7));
        CHECK(data::idx_folder(folder.path()).size() == 2);  // the plain one of the two
        test::write_bytes(folder / "other-train-images-idx3-ubyte", images(2));
        CHECK(mentions(message_of([&] { data::idx_folder(folder.path()); }),
                       {"both", "other-train", "expected one file"}));
    }
}

TEST_CASE("Fashion-MNIST is read", "[data]") {
    const auto real = test::real_images("fashion-mnist");
    if (!real) SKIP("no fashion-mnist in DOPPEL_TEST_DATA");
    const data::Idx test = data::idx_folder(*real, data::Split::test);
    REQUIRE(test.size() == 10000);
    CHECK(test.classes().size() == 10);
    CHECK(test.label(0) == 9);
    CHECK(test.image(0).width == 28);
    std::vector<int> counts(10);
    for (std::int64_t i = 0; i < test.size(); ++i) ++counts[static_cast<std::size_t>(test.label(i))];
    CHECK(counts == std::vector<int>(10, 1000));
}
