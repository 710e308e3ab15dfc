// SPDX-License-Identifier: Apache-2.0
#include <doppel/io/atomic_file.hpp>

#include "support/small_disk.hpp"
#include "support/support.hpp"

#include <stdexcept>

using namespace doppel;
using namespace doppel::test;

namespace {

std::size_t files_in(const std::filesystem::path& folder) {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

}  // namespace

TEST_CASE("An atomic file holds exactly what was written, whatever the sizes of the pieces") {
    const TemporaryFolder folder;
    const auto path = folder / "whole.bin";
    std::string expected;
    io::write_atomically(path, [&](std::ostream& out) {
        for (const std::size_t size : {1u, 7u, 65535u, 65536u, 65537u, 3u, 200000u, 2u}) {
            std::string piece(size, '\0');
            for (std::size_t i = 0; i < size; ++i) piece[i] = static_cast<char>((i * 31 + size) % 251);
            out << piece;
            out.put('|');
            expected += piece + '|';
        }
    });
    CHECK(read_text(path) == expected);
    CHECK(files_in(folder.path()) == 1);

    const std::vector<std::uint8_t> bytes{0, 1, 255};
    io::write_atomically(path, bytes);
    CHECK(read_text(path) == std::string("\0\1\xFF", 3));
    io::write_atomically(path, "text");
    CHECK(read_text(path) == "text");
    io::write_atomically(path, std::string());
    CHECK(read_text(path).empty());
}

TEST_CASE("The old file stands until the new one is whole") {
    const TemporaryFolder folder;
    const auto path = folder / "metrics.json";
    io::write_atomically(path, "old");
    io::write_atomically(path, [&](std::ostream& out) {
        out << "new" << std::flush;
        CHECK(read_text(path) == "old");
    });
    CHECK(read_text(path) == "new");
}

TEST_CASE("A writer that throws leaves the old file and no temporary one") {
    const TemporaryFolder folder;
    const auto path = folder / "kept";
    io::write_atomically(path, "old");
    const auto problem = message_of([&] {
        io::write_atomically(path, [](std::ostream& out) {
            out << std::string(100000, 'x');
            throw std::runtime_error("the writer's own");
        });
    });
    CHECK(problem == "the writer's own");
    CHECK(read_text(path) == "old");
    CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("A disk without room leaves the old file, no temporary one, and the system's reason") {
    const TemporaryFolder folder;
    const auto path = folder / "large";
    io::write_atomically(path, "old");
    std::string problem;
    {
        const SmallDisk disk(100000);
        problem = message_of([&] { io::write_atomically(path, std::string(300000, 'x')); });
    }
    CHECK(mentions(problem, {"write_atomically", path.string(), std::generic_category().message(EFBIG)}));
    CHECK(read_text(path) == "old");
    CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("A path that cannot be written is named with the reason") {
    const TemporaryFolder folder;
    CHECK(mentions(message_of([&] { io::write_atomically(folder / "no/such/file", "x"); }),
                   {(folder / "no/such/file").string(), "No such file or directory"}));
    std::filesystem::create_directory(folder / "taken");
    CHECK(mentions(message_of([&] { io::write_atomically(folder / "taken", "x"); }),
                   {(folder / "taken").string(), "directory"}));
    CHECK(mentions(message_of([&] { io::write_atomically(folder / "taken/", "x"); }), {"names a folder"}));
    CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("Folders are made with those above them, and a file in the way is named") {
    const TemporaryFolder folder;
    io::create_folders(folder / "a/b/c");
    io::create_folders(folder / "a/b/c");
    io::create_folders("");
    CHECK(std::filesystem::is_directory(folder / "a/b/c"));
    write_bytes(folder / "file", "x");
    CHECK(mentions(message_of([&] { io::create_folders(folder / "file"); }),
                   {"create_folders", (folder / "file").string()}));
    CHECK(mentions(message_of([&] { io::create_folders(folder / "file/below"); }),
                   {(folder / "file/below").string(), "directory"}));
}
