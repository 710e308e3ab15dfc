// SPDX-License-Identifier: Apache-2.0
// What a training step of each method asks of the device, in bf16, held by limits.md. `./run device` prints the figures,
// `./run device --limits` makes them the limits.
#include <doppel/train/trainer.hpp>

#include "simulated_device/subjects.hpp"

#include <cstdlib>
#include <sstream>

using namespace doppel;
using namespace doppel::test;

namespace {

constexpr const char* head =
    "Limits of a training step of each method, held by tests/simulated_device/limits.cpp and written by `./run device --limits`.\n\n"
    "| method | launches | launches, captured | waits | pageable copies | bytes sent |\n|---|---|---|---|---|---|\n";

std::string row_of(const Subject& subject, const Counts& counts) {
    std::ostringstream row;
    row << "| " << subject.name << " | " << counts.launches << " | " << counts.captured << " | " << counts.waits << " | " << counts.pageable << " | "
        << counts.bytes << " |\n";
    return row.str();
}

/// The table's numbers by the first cell of their row.
std::map<std::string, std::vector<std::int64_t>> limits_of(const std::string& text) {
    std::map<std::string, std::vector<std::int64_t>> all;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with("| ") || line.starts_with("| method")) continue;
        std::istringstream cells(line.substr(2));
        std::string name, cell;
        std::getline(cells, name, '|');
        while (name.ends_with(' ')) name.pop_back();
        while (std::getline(cells, cell, '|')) all[name].push_back(std::stoll(cell));
    }
    return all;
}

std::filesystem::path file_of_limits() { return source_folder() / "tests/simulated_device/limits.md"; }

}  // namespace

TEST_CASE("no method's step asks more of the device than limits.md says, and none has a race") {
    simulated::install();
    const auto text = read_text(file_of_limits());
    CHECK(text.find(head) != std::string::npos);
    auto limits = limits_of(text);
    for (const auto& subject : subjects()) {
        INFO(subject.name);
        const auto counts = counts_of(subject);
        CHECK(counts.races == "");
        REQUIRE(limits.contains(subject.name));
        const auto limit = limits.at(subject.name);
        limits.erase(subject.name);
        REQUIRE(limit.size() == 5);
        INFO(counts.warnings);
        CHECK(counts.launches <= limit[0]);
        CHECK(counts.captured <= limit[1]);
        INFO(counts.waits_text);
        CHECK(counts.waits <= limit[2]);
        INFO(counts.pageable_text);
        CHECK(counts.pageable <= limit[3]);
        CHECK(counts.bytes <= limit[4]);
    }
    for (const auto& [name, numbers] : limits) FAIL_CHECK("limits.md has a row '" << name << "', which is no method of subjects.hpp");
}

// Writes the table to the file DOPPEL_DEVICE_TABLE; with DOPPEL_DEVICE_CAPTURE, what stands against a capture instead.
TEST_CASE("figures of every method's step", "[.report]") {
    simulated::install();
    const char* file = std::getenv("DOPPEL_DEVICE_TABLE");
    if (!file) return;
    const char* wanted = std::getenv("DOPPEL_DEVICE_CAPTURE");
    const bool capture_wanted = wanted && *wanted;
    std::string table, capture;
    for (const auto& subject : subjects()) {
        const auto counts = counts_of(subject);
        table += row_of(subject, counts);
        capture += subject.name + "\n" + (counts.warnings.empty() ? "" : "    " + counts.warnings);
        for (const auto& [reason, times] : counts.against_capture) capture += "    " + std::to_string(times) + " x " + reason + "\n";
    }
    write_bytes(file, capture_wanted ? capture : head + table);
}

TEST_CASE("a table of limits is read as it is written") {
    const Subject subject{"simclr", "simclr"};
    CHECK(limits_of(std::string("Text.\n\n") + head + row_of(subject, {.launches = 5, .captured = 3, .waits = 1, .pageable = 2, .bytes = 100})) ==
          std::map<std::string, std::vector<std::int64_t>>{{"simclr", {5, 3, 1, 2, 100}}});
}
