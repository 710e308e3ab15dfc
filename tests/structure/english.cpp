// SPDX-License-Identifier: Apache-2.0
// The words of CONTRIBUTING.md: terms of its glossary's last column, and phrases and spellings that its style does not have,
// stand in no header, document or message.
#include "support/support.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <sstream>
#include <string_view>

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

/// Terms of the glossary that also have another meaning, so that only a reader can judge them.
const std::map<std::string, std::string> with_another_meaning{
    {"crop", "the operation"},
    {"for all views", "a remark, not a term"},
    {"big", "an adjective"},
    {"line", "of text"},
    {"representations", "in titles of papers"},
    {"codes", "of programs"},
    {"passes", "over the data, through the network"},
    {"cut", "a verb"},
    {"iteration", "Sinkhorn's"},
    {"round", "of numbers"},
    {"plan", "of a measurement"},
    {"broken", "of rules and links"},
    {"drop", "of a path, a verb"},
    {"limits", "the C++ header"},
    {"room", "space"},
    {"node", "of the options of launchers"},
};

/// Other libraries' words, which name networks in their files: where they may stand.
const std::set<std::string> words_of_others{"teacher", "student"};
constexpr std::string_view place_of_others = "include/doppel/weights/";

/// What the style has another word for, and that word.
const std::map<std::string, std::string> phrases{
    {"refuse", "reject"},        {"refuses", "reject"},          {"refused", "reject"},
    {"is said", "report"},       {"are said", "report"},         {"at work", "active, in use"},
    {"at hand", "current"},      {"of the day", "current"},      {"told apart", "distinguish"},
    {"one's own", "custom"},     {"whoever", "any caller"},      {"meanwhile", "while …"},
    {"by chance", "unseeded"},   {"doubted", "warn"},            {"global crops", "global views"},
    {"colour", "color"},         {"colours", "color"},           {"centre", "center"},
    {"centred", "centered"},     {"grey", "gray"},               {"neighbour", "neighbor"},
    {"neighbours", "neighbors"}, {"behaviour", "behavior"},      {"optimiser", "optimizer"},
    {"optimise", "optimize"},    {"normalise", "normalize"},     {"normalised", "normalized"},
    {"initialise", "initialize"}, {"initialised", "initialized"}, {"recognise", "recognize"},
};

std::string trimmed(const std::string& text) {
    const auto first = text.find_first_not_of(" \t\r`");
    return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(" \t\r`") + 1 - first);
}

/// The terms of the glossary's last column: several between commas.
std::set<std::string> forbidden_terms(const std::string& document) {
    std::set<std::string> terms;
    std::istringstream lines(document);
    bool inside = false;
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("## ")) inside = line == "## Glossary";
        if (!inside || !line.starts_with("|") || line.starts_with("|-") || line.starts_with("| term")) continue;
        std::istringstream cells(line.substr(1));
        std::string cell, last;
        for (int i = 0; i < 3 && std::getline(cells, cell, '|'); ++i) last = i == 2 ? cell : "";
        std::istringstream parts(last);
        for (std::string part; std::getline(parts, part, ',');)
            if (const auto term = trimmed(part); !term.empty()) terms.insert(term);
    }
    return terms;
}

/// Whether `word` stands in `text`, in whatever case, as a word of its own.
bool has_word(const std::string& text, const std::string& word) {
    const auto same = [](char a, char b) {
        return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
    };
    const auto inner = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
    for (auto at = text.begin();; ++at) {
        at = std::search(at, text.end(), word.begin(), word.end(), same);
        if (at == text.end()) return false;
        const auto end = at + static_cast<std::ptrdiff_t>(word.size());
        if ((at == text.begin() || !inner(at[-1])) && (end == text.end() || !inner(*end))) return true;
    }
}

/// Lines of what users read with a word that should not stand there.
std::vector<std::string> wrong_words(const fs::path& source) {
    std::map<std::string, std::string> words = phrases;
    for (const auto& term : forbidden_terms(read_text(source / "CONTRIBUTING.md")))
        if (!with_another_meaning.contains(term)) words[term] = "see the glossary of CONTRIBUTING.md";
    std::vector<std::string> found;
    const auto look_at = [&](const fs::path& file) {
        std::istringstream lines(read_text(file));
        const bool theirs = file.lexically_relative(source).generic_string().starts_with(place_of_others);
        int number = 0;
        for (std::string line; std::getline(lines, line);) {
            ++number;
            for (const auto& [word, instead] : words)
                if (has_word(line, word) && !(theirs && words_of_others.contains(word)))
                    found.push_back(file.lexically_relative(source).generic_string() + ":" + std::to_string(number) + ": '" + word +
                                    "' (" + instead + ") in: " + trimmed(line));
        }
    };
    for (const char* place : {"include", "examples", "docs"})
        if (fs::is_directory(source / place))
            for (const auto& entry : fs::recursive_directory_iterator(source / place))
                if (const auto kind = entry.path().extension(); kind == ".hpp" || kind == ".cpp" || kind == ".md") look_at(entry.path());
    for (const char* file : {"README.md", "run"})
        if (fs::exists(source / file)) look_at(source / file);
    std::sort(found.begin(), found.end());
    return found;
}

}  // namespace

TEST_CASE("headers, documents and messages have the words of CONTRIBUTING.md") {
    for (const auto& problem : wrong_words(source_folder())) FAIL_CHECK(problem);
}

TEST_CASE("the glossary is read, and every exception is one of its terms") {
    const auto terms = forbidden_terms(read_text(source_folder() / "CONTRIBUTING.md"));
    for (const char* term : {"student", "teacher", "slow copy", "hidden patches"}) CHECK(terms.contains(term));
    for (const auto& [term, why] : with_another_meaning) {
        INFO(term);
        CHECK(terms.contains(term));
    }
}

TEST_CASE("a wrong word is found, in whatever case, and a part of another word is none") {
    const TemporaryFolder source;
    write_bytes(source / "CONTRIBUTING.md", "| a | b | nothing |\n## Glossary\n\n| term | meaning | do not write |\n|---|---|---|\n"
                                            "| x | y | `slow copy`, drop |\n| z | w | |\n## Next\n| a | b | none |\n");
    write_bytes(source / "include/doppel/a.hpp", "// A Slow copy.\n// a slow copyright; drop; nothing; none\n");
    write_bytes(source / "docs/b.md", "The greyhound.\nColours are Grey.\n");
    const auto found = wrong_words(source.path());
    REQUIRE(found.size() == 3);
    CHECK(found[0].starts_with("docs/b.md:2: 'colours' (color)"));
    CHECK(found[1].starts_with("docs/b.md:2: 'grey' (gray)"));
    CHECK(found[2] == "include/doppel/a.hpp:1: 'slow copy' (see the glossary of CONTRIBUTING.md) in: // A Slow copy.");
}
