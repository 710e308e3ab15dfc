// SPDX-License-Identifier: Apache-2.0
// The documents show the measured figures: docs/results.json holds them, docs/make_results.py writes the tables.
#include "support/support.hpp"

#include <nlohmann/json.hpp>

#include <cstdlib>
#include <regex>
#include <set>
#include <string>
#include <vector>

using namespace doppel;

namespace {

std::string document(const std::string& path) { return test::read_text(test::source_folder() / path); }

/// All first groups of a pattern in a text.
std::set<std::string> found(const std::string& text, const std::string& pattern) {
    std::set<std::string> names;
    const std::regex expression(pattern);
    for (std::sregex_iterator at(text.begin(), text.end(), expression), end; at != end; ++at) names.insert((*at)[1]);
    return names;
}

}  // namespace

TEST_CASE("the results script measures every method, by one delicate option each") {
    const auto methods = found(document("docs/options.md"), "`\\./run train ([a-z_0-9]+)`:");
    CHECK(methods.size() >= 24);
    CHECK(found(document("docs/make_results.py"), "\n    \"([a-z_0-9]+)\": \\(\"") == methods);
}

TEST_CASE("one of the three values of a delicate option is its default, and the last choice is the default") {
    const auto options = document("docs/options.md"), script = document("docs/make_results.py");
    // The default below 64 px: the second column of the option's row in the method's section.
    const auto expect = [&](const std::string& method, const std::string& option, const std::set<double>& values) {
        INFO(method << " --" << option);
        const auto at = options.find("`./run train " + method + "`:");
        REQUIRE(at != std::string::npos);
        const std::string section = options.substr(at, options.find("\n## ", at) - at);
        std::smatch row;
        REQUIRE(std::regex_search(section, row, std::regex("\\| `--" + option + "` \\| \\S+ \\| (\\S+) \\|")));
        CHECK(values.contains(std::stod(row[1])));
    };
    int methods = 0, choices = 0;
    const std::regex line("    \"(\\w+)\": \\(\"[^\"]+\", \"([a-z-]+)\", \\(([^,]+), ([^,]+), ([^)]+)\\)\\)");
    for (std::sregex_iterator m(script.begin(), script.end(), line), end; m != end; ++m, ++methods)
        expect((*m)[1], (*m)[2], {std::stod((*m)[3]), std::stod((*m)[4]), std::stod((*m)[5])});
    CHECK(methods >= 24);
    const std::regex choice("    \"(\\w+)\": \\[[^\\]]*\"([^\"\\]]+)\"\\]");
    const std::regex setting("--([a-z-]+) (\\S+)");
    for (std::sregex_iterator m(script.begin(), script.end(), choice), end; m != end; ++m) {
        const std::string method = (*m)[1], last = (*m)[2];
        for (std::sregex_iterator one(last.begin(), last.end(), setting); one != end; ++one, ++choices) expect(method, (*one)[1], {std::stod((*one)[2])});
    }
    CHECK(choices >= 4);
}

TEST_CASE("each measured run has its command, and figures or the reason why it has none") {
    const auto store = nlohmann::json::parse(document("docs/results.json"));
    for (const auto& [key, figures] : store.at("runs").items()) {
        INFO(key);
        CHECK(figures.at("command").get<std::string>().starts_with("./run train "));
        CHECK(figures.contains("knn_top1") != figures.contains("failed"));
        if (key.starts_with("sensitivity/") || key.starts_with("choices/")) CHECK(figures.at("command").get<std::string>().find("/judge ") != std::string::npos);
        else CHECK(figures.at("command").get<std::string>().find("/test ") != std::string::npos);
    }
}

TEST_CASE("README, results.md and choosing.md show what results.json holds") {
    if (std::system("python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2> /dev/null") != 0) SKIP("python3 (3.9 or later), which writes the documents, is not here");
    const test::TemporaryFolder folder;
    const std::vector<std::string> documents{"README.md", "docs/results.md", "docs/choosing.md"};
    for (const std::string file : {"README.md", "docs/results.md", "docs/choosing.md", "docs/results.json", "docs/make_results.py"})
        test::write_bytes(folder / file, document(file));
    REQUIRE(std::system(("env -u DOPPEL_RESULTS python3 '" + (folder / "docs/make_results.py").string() + "' --write").c_str()) == 0);
    for (const auto& file : documents) {
        INFO(file << ": to renew it, docs/make_results.py --write");
        CHECK(test::read_text(folder / file) == document(file));
    }
}
