// SPDX-License-Identifier: Apache-2.0
#include <doppel/io/npy.hpp>

#include "support/small_disk.hpp"
#include "support/torch_support.hpp"

#include <cstring>
#include <fstream>
#include <iterator>

using namespace doppel;
using namespace doppel::test;

namespace {

std::string bytes_of(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

// NumPy's own reader is the oracle where Python has it: numpy.load of these bytes gives the same array (checked by hand, NumPy 2.4).
TEST_CASE("a tensor has NumPy's header, aligned to 64 bytes, and its values in order") {
    const TemporaryFolder folder;
    const Tensor rows = at::arange(6, at::kFloat).view({3, 2}).t();  // [2, 3], not contiguous
    io::save_npy(folder / "rows.npy", rows);
    const auto bytes = bytes_of(folder / "rows.npy");
    REQUIRE(bytes.size() == 256 + 24);
    CHECK(bytes.substr(0, 8) == std::string("\x93NUMPY\x01\x00", 8));
    CHECK(static_cast<unsigned char>(bytes[8]) == 246);
    CHECK(mentions(bytes.substr(10, 246), {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, ), }"}));
    CHECK(bytes[255] == '\n');
    float values[6];
    std::memcpy(values, bytes.data() + 256, sizeof values);
    CHECK((values[0] == 0 && values[1] == 2 && values[2] == 4 && values[3] == 1));
}

TEST_CASE("one dimension is a tuple of one, and other types are an error") {
    const TemporaryFolder folder;
    io::save_npy(folder / "labels.npy", at::arange(3, at::kLong));
    CHECK(mentions(bytes_of(folder / "labels.npy"), {"'<i8'", "'shape': (3,)"}));
    CHECK(mentions(message_of([&] { io::save_npy(folder / "half.npy", at::zeros({2}, at::kHalf)); }), {"half.npy", "float32 or int64", "Half"}));
    CHECK(!std::filesystem::exists(folder / "half.npy"));
}

TEST_CASE("parts that come one by one are the file of all together, also where they are larger than the buffer") {
    const TemporaryFolder folder;
    const Tensor rows = at::arange(90000, at::kFloat).view({3000, 5, 6});
    io::save_npy(folder / "whole.npy", rows);
    for (const std::int64_t size : {7, 2900}) {
        io::save_npy(folder / "parts.npy", [&](const auto& add) {
            for (const auto& part : rows.split(size)) add(part);
        });
        CHECK(bytes_of(folder / "parts.npy") == bytes_of(folder / "whole.npy"));
    }
    CHECK(bytes_of(folder / "whole.npy").size() == 256 + 4 * 90000);
}

TEST_CASE("parts that differ, none, and an error between them leave no file") {
    const TemporaryFolder folder;
    const auto message = [&](std::vector<Tensor> parts) {
        return message_of([&] {
            io::save_npy(folder / "a.npy", [&](const auto& add) {
                for (const auto& part : parts) add(part);
            });
        });
    };
    CHECK(mentions(message({at::zeros({2, 3}), at::zeros({2, 4})}), {"a.npy", "alike", "[2, 4]", "[2, 3]"}));
    CHECK(mentions(message({at::zeros({2, 3}), at::zeros({2, 3}, at::kLong)}), {"a.npy", "alike", "Long", "Float"}));
    CHECK(mentions(message({}), {"a.npy", "nothing to write"}));
    CHECK(mentions(message({at::zeros({})}), {"a.npy", "scalar"}));
    CHECK(message_of([&] {
              io::save_npy(folder / "a.npy", [](const auto& add) {
                  add(at::zeros({2}));
                  throw Error("no more images");
              });
          }) == "no more images");
    CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("a full disk ends the writing at the part that did not fit, with the system's reason") {
    const TemporaryFolder folder;
    int parts = 0;
    std::string message;
    {
        const SmallDisk disk(1 << 20);
        message = message_of([&] {
            io::save_npy(folder / "a.npy", [&](const auto& add) {
                for (; parts < 100; ++parts) add(at::zeros({100000}));  // 400,000 bytes
            });
        });
    }
    CHECK(parts == 2);
    CHECK(mentions(message, {"a.npy", "File too large"}));
    CHECK(std::filesystem::is_empty(folder.path()));
}
