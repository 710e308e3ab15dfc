// SPDX-License-Identifier: Apache-2.0
// One stem per method and file: a header has a test of the same name, and every name is spelled one way.
#include "support/support.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

using namespace doppel;
namespace fs = std::filesystem;

namespace {

/// Headers of the folders below that have no test of their own name, and where they are tested.
const std::map<std::string, std::string> tested_elsewhere{
    {"methods/common", "by every method"},
    {"methods/entry", "tests/cli"},
    {"methods/learning_rate", "by every method; tests/train/trainer.cpp"},
    {"methods/preset", "tests/train/trainer.cpp"},
    {"losses/detail/cross_views", "tests/losses/nt_xent.cpp"},
    {"encoders/adjust", "tests/methods/simsiam.cpp, dino.cpp"},
    {"encoders/by_name", "tests/encoders/resnet.cpp, vit.cpp"},
    {"encoders/module", "tests/encoders/resnet.cpp, vit.cpp"},
    {"heads/linear", "tests/heads/mlp.cpp"},
    {"queues/memory_bank", "tests/methods/inst_disc.cpp"},
    {"targets/shared", "tests/recipe"},
    {"targets/stop_gradient", "tests/recipe"},
    {"optim/any_spec", "tests/optim/sgd.cpp, lars.cpp, adamw.cpp"},
    {"optim/optimizer", "tests/optim/sgd.cpp, lars.cpp, adamw.cpp"},
    {"schedules/schedules", "includes the others"},
};
const std::vector<std::string> folders{"encoders", "heads", "losses", "methods", "optim", "queues", "schedules", "targets"};

/// Spellings that are not the paper's name in lower case (files, functions, variables) or CamelCase of it (types).
const std::vector<std::string> forbidden{
    "sim_clr", "nn_clr",   "re_ssl", "sup_con", "direct_clr", "ti_co",     "w_mse",  "le_jepa", "sim_siam",
    "ko_leo",  "sig_reg",  "mo_co",  "vic_reg", "sw_av",      "barlowtwi", "instdisc", "SimClr", "NnClr",
    "ReSsl",   "DirectClr", "VicReg", "WMse",   "LeJepa",     "KoLeo",     "SigReg", "MoCoV"};

/// Whether a line may hold the spelling: prose has the paper's own name, as in "KoLeo" and "SIGReg".
bool is_prose(const std::string& path, const std::string& line, const std::string& spelling) {
    if (spelling != "KoLeo") return false;
    if (path.ends_with(".md")) return true;
    const auto at = line.find(spelling), comment = line.find("//"), quote = line.find('"');
    return std::min(comment, quote) < at;
}

std::string text_of(const fs::path& file) {
    const auto bytes = test::read_bytes(file);
    return {bytes.begin(), bytes.end()};
}

/// Headers below include/doppel that need a test of their name and have none, and exceptions that are needed no more.
std::vector<std::string> without_a_test(const fs::path& source) {
    std::vector<std::string> missing;
    std::set<std::string> used;
    for (const auto& folder : folders) {
        if (!fs::is_directory(source / "include/doppel" / folder)) continue;
        for (const auto& entry : fs::directory_iterator(source / "include/doppel" / folder)) {
            if (entry.path().extension() != ".hpp") continue;
            const auto name = folder + "/" + entry.path().stem().string();
            const bool tested = fs::exists(source / "tests" / (name + ".cpp"));
            if (!tested && !tested_elsewhere.contains(name)) missing.push_back("no tests/" + name + ".cpp");
            if (tested && tested_elsewhere.contains(name)) missing.push_back(name + " has a test: drop the exception");
        }
    }
    std::sort(missing.begin(), missing.end());
    return missing;
}

/// Lines with a forbidden spelling.
std::vector<std::string> misspelled(const fs::path& source) {
    std::vector<std::string> found;
    const auto look_at = [&](const fs::path& file) {
        if (file.filename() == "stems.cpp" || file.filename() == "CHANGELOG.md") return;
        const auto path = file.lexically_relative(source).generic_string();
        if (path.starts_with("tests/reference/")) return;  // names of other libraries
        std::istringstream lines(path + "\n" + text_of(file));
        for (std::string line; std::getline(lines, line);)
            for (const auto& spelling : forbidden)
                if (line.find(spelling) != std::string::npos && !is_prose(path, line, spelling))
                    found.push_back(path + ": " + spelling + " in: " + line);
    };
    for (const char* place : {"include", "tests", "examples", "docs", "benchmarks", "cmake"})
        if (fs::is_directory(source / place))
            for (const auto& entry : fs::recursive_directory_iterator(source / place)) {
                const auto kind = entry.path().extension();
                if (kind == ".hpp" || kind == ".cpp" || kind == ".md" || kind == ".py" || kind == ".txt" || kind == ".cmake")
                    look_at(entry.path());
            }
    for (const char* file : {"README.md", "CONTRIBUTING.md", "run", "CMakeLists.txt"})
        if (fs::exists(source / file)) look_at(source / file);
    return found;
}

}  // namespace

TEST_CASE("every method, loss, head, encoder, queue, target, optimizer and schedule has a test of its name") {
    for (const auto& problem : without_a_test(test::source_folder())) FAIL_CHECK(problem);
}

TEST_CASE("every method's stem is spelled one way") {
    for (const auto& problem : misspelled(test::source_folder())) FAIL_CHECK(problem);
}

TEST_CASE("a missing test and a wrong spelling are found") {
    const test::TemporaryFolder source;
    const auto write = [&](const std::string& path, const std::string& text) { test::write_bytes(source / path, text); };
    write("include/doppel/methods/new.hpp", "struct New {};\n");
    write("include/doppel/losses/detail/inner.hpp", "");
    CHECK(without_a_test(source.path()) == std::vector<std::string>{"no tests/methods/new.cpp"});
    write("tests/methods/new.cpp", "// KoLeo, the paper's name\nint new_clr;\n");
    CHECK(without_a_test(source.path()).empty());
    CHECK(misspelled(source.path()).empty());
    write("include/doppel/methods/nn_clr.hpp", "KoLeo x;\n");
    CHECK(misspelled(source.path()).size() == 2);
}
