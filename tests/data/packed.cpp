// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/memory.hpp>
#include <doppel/data/pack.hpp>
#include <doppel/data/packed.hpp>

#include "support/packed.hpp"
#include "support/support.hpp"

#include <atomic>
#include <thread>

using namespace doppel;
using test::mentions;
using test::message_of;

namespace {

/// Two images in color and one gray one, in a file of about a kilobyte.
data::Dataset some_images() { return data::Memory({test::busy(9, 7, 3), test::busy(5, 8, 3)}, {0, 1}, {"light", "dark"}); }
std::string save(const std::filesystem::path& file) {
    data::pack(file, some_images(), data::Memory({test::busy(6, 6, 1)}));
    return test::read_text(file);
}

/// Reads all of a file.
void read_all(const std::filesystem::path& file) {
    for (const auto split : {data::Split::train, data::Split::test}) {
        const data::Packed images(file, split);
        for (std::int64_t i = 0; i < images.size(); ++i) images.image(i);
    }
}

}  // namespace

TEST_CASE("a flipped bit anywhere in a packed file is found") {
    const test::TemporaryFolder folder;
    const auto whole = save(folder / "a.dop");
    CHECK(message_of([&] { read_all(folder / "a.dop"); }).empty());
    int of_images = 0;
    for (std::size_t at = 0; at < whole.size(); ++at) {
        auto flipped = whole;
        flipped[at] = static_cast<char>(flipped[at] ^ 1 << at % 8);
        test::write_bytes(folder / "b.dop", flipped);
        const auto message = message_of([&] { read_all(folder / "b.dop"); });
        CAPTURE(at, message);
        REQUIRE(message.starts_with("packed: " + (folder / "b.dop").string()));
        of_images += mentions(message, {"is damaged (the checksum differs): pack"});
    }
    CHECK(of_images > 300);
}

TEST_CASE("one damaged image leaves the others, and is an image that loaders skip") {
    const test::TemporaryFolder folder;
    auto bytes = save(folder / "a.dop");
    bytes[24 + 20] ^= 1;
    test::write_bytes(folder / "a.dop", bytes);
    const data::Packed images(folder / "a.dop");
    CHECK_THROWS_AS(images.image(0), DamagedImage);
    CHECK_THROWS_AS(images.encoded(0), DamagedImage);  // again
    CHECK(mentions(message_of([&] { images.image(0); }), {"a.dop", "train/0", "checksum"}));
    CHECK(images.image(1) == some_images().image(1));
}

TEST_CASE("a truncated file, another one and one of another version are told apart") {
    const test::TemporaryFolder folder;
    const auto whole = save(folder / "a.dop");
    const auto says = [&](const std::string& bytes) {
        test::write_bytes(folder / "b.dop", bytes);
        return message_of([&] { read_all(folder / "b.dop"); });
    };
    for (std::size_t size = 0; size < whole.size(); ++size) {
        CAPTURE(size);
        REQUIRE(mentions(says(whole.substr(0, size)), {"b.dop is ", size < 16 ? "no packed file" : "truncated"}));
    }
    CHECK(mentions(says(whole + "x"), {"b.dop is truncated"}));
    CHECK(mentions(says("doppel packed\r\n\x1a\2" + whole.substr(17)), {"has version 2, expected 1", "pack the images again"}));
    CHECK(mentions(says("PK\3\4 and so on, for some time"), {"is no packed file", "./run pack"}));
    CHECK(mentions(message_of([&] { data::Packed(folder / "none.dop"); }), {"none.dop", "No such file"}));
    CHECK(mentions(message_of([&] { data::Packed(folder.path()); }), {"is no packed file"}));
    CHECK_FALSE(data::Packed::is_packed(folder / "none.dop"));
    CHECK_FALSE(data::Packed::is_packed(folder.path()));
    CHECK(data::Packed::is_packed(folder / "a.dop"));
}

TEST_CASE("a file that is removed or replaced stays readable, one that is truncated is an error") {
    const test::TemporaryFolder folder;
    save(folder / "a.dop");
    const data::Packed images(folder / "a.dop");
    std::filesystem::rename(folder / "a.dop", folder / "b.dop");
    data::pack(folder / "a.dop", data::Memory({test::busy(3, 3, 1)}));
    CHECK(images.image(0) == some_images().image(0));
    const data::Packed copy = images;
    std::filesystem::resize_file(folder / "b.dop", 30);
    CHECK(mentions(message_of([&] { copy.image(1); }), {"a.dop was truncated while it was read"}));
    std::filesystem::remove(folder / "b.dop");
    CHECK(data::Packed(folder / "a.dop").size() == 1);
}

TEST_CASE("several threads read a packed file") {
    const test::TemporaryFolder folder;
    std::vector<Image> all;
    for (int i = 0; i < 40; ++i) all.push_back(test::busy(10 + i, 20, 3));
    data::pack(folder / "a.dop", data::Memory(all));
    const data::Packed images(folder / "a.dop");
    std::atomic<int> same = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (std::int64_t i = 0; i < images.size(); ++i) {
                const auto at = (i * 7 + t * 11) % images.size();
                same += images.image(at) == all[static_cast<std::size_t>(at)];
            }
        });
    for (auto& thread : threads) thread.join();
    CHECK(same == 160);
}

TEST_CASE("both splits of a file are opened at once") {
    const test::TemporaryFolder folder;
    save(folder / "a.dop");
    const auto [train, validation] = data::Packed::both(folder / "a.dop");
    CHECK(train.size() == 2);
    CHECK(train.classes() == std::vector<std::string>{"light", "dark"});
    CHECK(validation.size() == 1);
    CHECK(validation.image(0) == test::busy(6, 6, 1));
    CHECK(validation.fingerprint() == data::Packed(folder / "a.dop", data::Split::test).fingerprint());
    CHECK_THROWS(train.image(2));
    CHECK_THROWS(train.image(-1));
}
