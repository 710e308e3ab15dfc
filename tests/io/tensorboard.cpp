// SPDX-License-Identifier: Apache-2.0
#include <doppel/io/tensorboard.hpp>

#include "support/support.hpp"

#include <cstdint>
#include <cstring>

using namespace doppel;
using namespace doppel::test;

namespace {

std::string hexadecimal(std::string_view bytes) {
    std::string text;
    for (const char byte : bytes) {
        text += "0123456789abcdef"[static_cast<unsigned char>(byte) >> 4];
        text += "0123456789abcdef"[static_cast<unsigned char>(byte) & 15];
    }
    return text;
}

/// The data of the records of an event file; the lengths must fit.
std::vector<std::string> records(const std::filesystem::path& path) {
    const std::string file = read_text(path);
    std::vector<std::string> found;
    for (std::size_t at = 0; at < file.size();) {
        std::uint64_t length = 0;
        REQUIRE(file.size() - at >= 16);
        std::memcpy(&length, file.data() + at, 8);
        REQUIRE(file.size() - at - 16 >= length);
        found.push_back(file.substr(at + 12, length));
        CHECK(file.substr(at, 16 + length) == io::detail::tf_record(found.back()));
        at += 16 + length;
    }
    return found;
}

}  // namespace

TEST_CASE("The checksums are the published ones, for every length and start") {
    CHECK(io::detail::Crc32().update("123456789").value() == 0xCBF43926);
    CHECK(io::detail::Crc32c().update("123456789").value() == 0xE3069283);
    CHECK(io::detail::Crc32c().update(std::string(32, '\0')).value() == 0x8A9136AA);  // RFC 3720, B.4
    CHECK(io::detail::Crc32c().update(std::string(32, '\xFF')).value() == 0x62A8AB43);
    std::string bytes;
    for (int i = 0; i < 40; ++i) bytes.push_back(static_cast<char>(i * 37));
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut)
        CHECK(io::detail::Crc32().update(bytes.substr(0, cut)).update(bytes.substr(cut)).value() ==
              io::detail::Crc32().update(bytes).value());
}

TEST_CASE("Events have the bytes that protobuf gives them") {
    // From the tensorboard package: Event(wall_time=1.5, ...).SerializeToString().hex()
    CHECK(hexadecimal(io::detail::version_event(1.5)) == "09000000000000f83f1a0d627261696e2e4576656e743a32");
    CHECK(hexadecimal(io::detail::scalar_event(1.5, 300, "train/loss", 0.25F)) ==
          "09000000000000f83f10ac022a130a110a0a747261696e2f6c6f7373150000803e");
    CHECK(hexadecimal(io::detail::scalar_event(1.5, 0, "a", 1.0F)) == "09000000000000f83f2a0a0a080a0161150000803f");
    CHECK(hexadecimal(io::detail::restart_event(1.5, 7)) == "09000000000000f83f10073a020801");
}

TEST_CASE("A record is framed by masked checksums of its length and data") {
    // From the tensorboard package's RecordWriter, the record "abc".
    CHECK(hexadecimal(io::detail::tf_record("abc")) == "0300000000000000b099490e6162636e57f121");
}

TEST_CASE("An event file begins with its version and holds the scalars in order, at once") {
    const TemporaryFolder folder;
    io::TensorBoard board(folder / "new/tensorboard");
    CHECK(board.path().filename().string().rfind("events.out.tfevents.", 0) == 0);
    board.scalar("loss", 4.5, 1);
    board.scalar("loss", 4.25, 2);
    const auto found = records(board.path());
    REQUIRE(found.size() == 3);
    CHECK(mentions(found[0], {"brain.Event:2"}));
    CHECK(mentions(found[1], {"loss", std::string_view("\x15\0\0\x90\x40", 5)}));
    CHECK(mentions(found[2], {"loss", std::string_view("\x15\0\0\x88\x40", 5)}));
}

TEST_CASE("A second writer in the same folder makes its own file, which tells where it resumes") {
    const TemporaryFolder folder;
    io::TensorBoard first(folder.path());
    io::TensorBoard second(folder.path(), 7);
    CHECK(first.path() != second.path());
    const auto found = records(second.path());
    REQUIRE(found.size() == 2);
    CHECK(found[1].substr(9) == io::detail::restart_event(0, 7).substr(9));
}

TEST_CASE("TensorBoard names what it cannot write") {
    const TemporaryFolder folder;
    write_bytes(folder / "file", "x");
    CHECK(mentions(message_of([&] { io::TensorBoard board(folder / "file"); }), {(folder / "file").string()}));
    io::TensorBoard board(folder.path());
    CHECK(mentions(message_of([&] { board.scalar("", 1, 1); }), {"TensorBoard", "tag"}));
    CHECK(mentions(message_of([&] { board.scalar("loss", 1, -1); }), {"TensorBoard", "-1"}));
}
