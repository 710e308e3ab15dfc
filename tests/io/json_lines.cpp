// SPDX-License-Identifier: Apache-2.0
#include <doppel/io/json_lines.hpp>

#include "support/support.hpp"

#include <cmath>
#include <limits>

using namespace doppel;
using namespace doppel::test;

TEST_CASE("JSON lines keep the order of keys and are on disk at once") {
    const TemporaryFolder folder;
    const auto path = folder / "metrics.jsonl";
    io::JsonLines lines(path);
    lines.append({{"step", 1}, {"loss", 0.5}, {"a", "two\nlines"}});
    CHECK(read_text(path) == "{\"step\":1,\"loss\":0.5,\"a\":\"two\\nlines\"}\n");
    lines.append({{"step", 2}});
    const auto read = io::read_json_lines(path);
    REQUIRE(read.size() == 2);
    CHECK(read[0]["loss"] == 0.5);
    CHECK(read[0]["a"] == "two\nlines");
    CHECK(read[1]["step"] == 2);
}

TEST_CASE("What is not finite becomes null, what is not UTF-8 stays readable") {
    const TemporaryFolder folder;
    const auto path = folder / "metrics.jsonl";
    io::JsonLines(path).append(
        {{"nan", std::nan("")}, {"inf", std::numeric_limits<double>::infinity()}, {"name", "caf\xE9"}});
    const auto read = io::read_json_lines(path);
    REQUIRE(read.size() == 1);
    CHECK(read[0]["nan"].is_null());
    CHECK(read[0]["inf"].is_null());
    CHECK(read[0]["name"] == "caf\xEF\xBF\xBD");
}

TEST_CASE("Only objects go into JSON lines") {
    const TemporaryFolder folder;
    io::JsonLines lines(folder / "metrics.jsonl");
    CHECK(
        mentions(message_of([&] { lines.append(nlohmann::ordered_json(3)); }), {"metrics.jsonl", "object", "number"}));
    CHECK(read_text(folder / "metrics.jsonl").empty());
}

TEST_CASE("A line that a crash left half-written is cut off, at whichever byte it broke") {
    const TemporaryFolder folder;
    const auto path = folder / "metrics.jsonl";
    const std::string first = "{\"step\":1}\n", second = "{\"step\":2,\"loss\":0.25}\n";
    for (std::size_t size = 0; size <= first.size() + second.size(); ++size) {
        write_bytes(path, (first + second).substr(0, size));
        const bool first_whole = size + 1 >= first.size(), second_whole = size + 1 >= first.size() + second.size();
        CHECK(io::read_json_lines(path).size() == std::size_t{first_whole} + std::size_t{second_whole});
        io::JsonLines(path).append({{"step", 3}});
        CHECK(read_text(path) == (first_whole ? first : "") + (second_whole ? second : "") + "{\"step\":3}\n");
    }
}

TEST_CASE("Resuming drops the lines of later steps and goes on behind the others") {
    const TemporaryFolder folder;
    const auto path = folder / "metrics.jsonl";
    io::JsonLines lines(path);
    for (int step = 10; step <= 50; step += 10) lines.append({{"step", step}});
    lines.append({{"note", "no step"}});
    CHECK(lines.truncate_after(50) == 0);
    CHECK(lines.truncate_after(30) == 2);
    lines.append({{"step", 31}});
    CHECK(read_text(path) == "{\"step\":10}\n{\"step\":20}\n{\"step\":30}\n{\"note\":\"no step\"}\n{\"step\":31}\n");
}

TEST_CASE("A damaged line is named by its number, blank lines do not matter") {
    const TemporaryFolder folder;
    const auto path = folder / "metrics.jsonl";
    write_bytes(path, "{\"step\":1}\n\n\r\n{\"step\":2}\n");
    CHECK(io::read_json_lines(path).size() == 2);
    write_bytes(path, "{\"step\":1}\n\n{\"step\":\n{\"step\":3}\n");
    CHECK(mentions(message_of([&] { io::read_json_lines(path); }), {path.string(), "line 3"}));
    write_bytes(path, "[1]\n");
    CHECK(mentions(message_of([&] { io::read_json_lines(path); }), {"line 1", "object"}));
}

TEST_CASE("A file that cannot be opened is named with the reason") {
    const TemporaryFolder folder;
    CHECK(mentions(message_of([&] { io::read_json_lines(folder / "none"); }),
                   {(folder / "none").string(), "No such file"}));
    CHECK(mentions(message_of([&] { io::read_json_lines(folder.path()); }), {folder.path().string(), "directory"}));
    CHECK(mentions(message_of([&] { io::JsonLines lines(folder / "no/file"); }),
                   {(folder / "no/file").string(), "No such file"}));
}

TEST_CASE("a zero byte does not end a line early") {
    const TemporaryFolder folder;
    const auto path = folder / "metrics.jsonl";
    write_bytes(path, std::string_view("{\"step\":1}\n{\"step\":2}\0junk", 27));
    CHECK(io::read_json_lines(path).size() == 1);  // the last line is no whole value
    write_bytes(path, std::string_view("{\"step\":1}\0junk\n{\"step\":2}\n", 28));
    CHECK(mentions(message_of([&] { io::read_json_lines(path); }), {"line 1", "not a JSON object"}));
}
