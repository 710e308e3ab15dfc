// SPDX-License-Identifier: Apache-2.0
// The code in docs/guide.md that names a lesson stands in that lesson, which tests/examples/lessons.cpp runs.
#include "support/fixtures.hpp"
#include "support/support.hpp"

#include <set>
#include <sstream>
#include <string>

using namespace doppel::test;

namespace {

std::string trimmed(const std::string& line) {
    const auto first = line.find_first_not_of(" \t\r");
    return first == std::string::npos ? "" : line.substr(first, line.find_last_not_of(" \t\r") - first + 1);
}

std::set<std::string> lines_of(const std::filesystem::path& file) {
    std::ifstream in(file);
    INFO(file.string());
    REQUIRE(in.is_open());
    std::set<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.insert(trimmed(line));
    return lines;
}

}  // namespace

TEST_CASE("code in the guide is code of a lesson") {
    const std::filesystem::path root = source_folder();
    std::ifstream guide(root / "docs/guide.md");
    REQUIRE(guide.is_open());
    std::set<std::string> lesson;
    bool inside = false;
    int blocks = 0;
    for (std::string line; std::getline(guide, line);) {
        if (line.starts_with("```")) {
            const auto name = line.starts_with("```cpp ") ? trimmed(line.substr(7)) : "";
            inside = !inside && !name.empty();
            if (inside) lesson = lines_of(root / "examples" / (name + ".cpp"));
            blocks += inside;
        } else if (const auto text = trimmed(line); inside && !text.empty() && text != "…") {
            INFO(text);
            CHECK(lesson.contains(text));
        }
    }
    CHECK(blocks >= 8);
}

TEST_CASE("lessons are short, and examples/README.md lists each of them") {
    const std::filesystem::path root = source_folder();
    const std::string readme = read_text(root / "examples/README.md");
    int lessons = 0;
    for (const auto& entry : std::filesystem::directory_iterator(root / "examples")) {
        const std::string name = entry.path().filename().string();
        if (entry.path().extension() != ".cpp") continue;
        INFO(name);
        CHECK(readme.find("(" + name + ")") != std::string::npos);
        std::ifstream in(entry.path());
        int length = 0;
        for (std::string line; std::getline(in, line); ++length) CHECK(line.find("detail::") == std::string::npos);
        CHECK(length <= 60);
        ++lessons;
    }
    CHECK(lessons >= 15);
}
