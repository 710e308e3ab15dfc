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

/// Headers that have no test of their own name, and where they are tested or why there is nothing to test. A name that ends
/// in a slash is a whole folder.
const std::map<std::string, std::string> tested_elsewhere{
    {"augment/operations", "includes the others"},
    {"cli/arguments", "tests/cli/program.cpp"},
    {"cli/config_file", "tests/cli/program.cpp"},
    {"cli/custom_data", "tests/cli/program.cpp"},
    {"cli/data_options", "tests/cli/program.cpp"},
    {"cli/options_document", "tests/methods/registry.cpp"},
    {"cli/network_choice", "tests/cli/export.cpp, evaluate.cpp"},
    {"cli/opened_encoder", "tests/cli/evaluate.cpp, embed.cpp"},
    {"cli/prepare", "tests/cli/replay.cpp"},
    {"contracts/", "concepts: tests/contracts/contracts.cpp holds all of them against the same types"},
    {"core/batch", "members without functions"},
    {"core/compiled", "a macro: tests/consumer"},
    {"core/module", "includes"},
    {"core/tensor", "includes"},
    {"device/backend", "tests/device/kernel.cpp"},
    {"device/driver", "tests/device/cuda_backend.cpp"},
    {"device/cuda_graph", "needs a GPU: benchmarks/gpu.cpp; what uses it: tests/simulated_device"},
    {"device/graph", "tests/simulated_device/graphs.cpp"},
    {"device/source", "tests/device/nvrtc.cpp"},
    {"encoders/adjust", "tests/methods/simsiam.cpp, dino.cpp"},
    {"encoders/module", "tests/encoders/resnet.cpp, vit.cpp"},
    {"methods/common", "by every method"},
    {"methods/entry", "tests/methods/registry.cpp, tests/cli"},
    {"methods/preset", "tests/train/trainer.cpp"},
    {"optim/optimizer", "tests/optim/any_spec.cpp, sgd.cpp, lars.cpp, adamw.cpp"},
    {"options/crops", "tests/options/groups.cpp"},
    {"recipe/any_method", "tests/recipe/method.cpp"},
    {"recipe/build_options", "tests/recipe/method.cpp"},
    {"distributed/monitor", "tests/distributed/join.cpp"},
    {"distributed/nccl", "compiled with doppel::compiled; needs a GPU to run"},
    {"recipe/branch", "tests/recipe/method.cpp, tests/targets/ema.cpp"},
    {"recipe/check", "tests/compile_fail"},
    {"recipe/draws", "tests/methods/moco_v2.cpp, tests/recipe/masked_patches.cpp"},
    {"recipe/loss_of", "tests/recipe/method.cpp, tests/train/processes.cpp"},
    {"recipe/method_impl", "tests/recipe/method.cpp"},
    {"recipe/norm_passes", "tests/methods/moco_v2.cpp"},
    {"recipe/outputs", "tests/recipe/method.cpp"},
    {"recipe/recipe", "tests/recipe/method.cpp"},
    {"recipe/route", "tests/recipe/method.cpp"},
    {"recipe/split_batch_norm", "tests/methods/moco_v2.cpp"},
    {"run/evaluate", "tests/cli/evaluate.cpp"},
    {"run/evaluation_files", "tests/cli/evaluate.cpp"},
    {"run/evaluation_report", "tests/cli/evaluate.cpp"},
    {"run/feature_sections", "tests/cli/evaluate.cpp, tests/run/run.cpp"},
    {"run/context", "members without functions"},
    {"run/evaluation", "tests/run/run.cpp"},
    {"run/messages", "tests/integration, tests/cli/program.cpp"},
    {"run/options", "tests/cli/program.cpp"},
    {"run/report_of", "tests/run/run.cpp"},
    {"run/result", "members without functions"},
    {"run/sheets", "tests/run/run.cpp"},
    {"schedules/schedules", "includes the others"},
    {"train/callback", "tests/train/train.cpp, tests/compile_fail"},
    {"train/callbacks", "includes the others"},
    {"train/captured_passes", "tests/simulated_device/graphs.cpp"},
    {"train/checkpoint", "tests/train/trainer.cpp, tests/train/callbacks/save_checkpoints.cpp"},
    {"train/options", "members without functions"},
    {"train/result", "members without functions"},
};

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

/// Headers below include/doppel that need a test of their name and have none, and exceptions that are needed no more. The
/// umbrellas and what lies in detail/ need none.
std::vector<std::string> without_a_test(const fs::path& source, const std::map<std::string, std::string>& excepted) {
    std::vector<std::string> problems;
    std::set<std::string> untested;
    const auto root = source / "include/doppel";
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
        if (entry.path().extension() != ".hpp") continue;
        const auto name = entry.path().lexically_relative(root).replace_extension().generic_string();
        const auto folder = name.substr(0, name.find('/') + 1);  // empty for an umbrella
        if (folder.empty() || name.find("/detail/") != std::string::npos || fs::exists(source / "tests" / (name + ".cpp"))) continue;
        untested.insert(name);
        untested.insert(folder);
        if (!excepted.contains(name) && !excepted.contains(folder)) problems.push_back("no tests/" + name + ".cpp");
    }
    for (const auto& [name, why] : excepted)
        if (!untested.contains(name)) problems.push_back(name + " has a test, or is not there: drop the exception");
    std::sort(problems.begin(), problems.end());
    return problems;
}

/// Lines with a forbidden spelling.
std::vector<std::string> misspelled(const fs::path& source) {
    std::vector<std::string> found;
    const auto look_at = [&](const fs::path& file) {
        if (file.filename() == "stems.cpp" || file.filename() == "CHANGELOG.md") return;
        const auto path = file.lexically_relative(source).generic_string();
        if (path.starts_with("tests/reference/")) return;  // names of other libraries
        std::istringstream lines(path + "\n" + test::read_text(file));
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

TEST_CASE("every header has a test of its name, or stands in the list of exceptions") {
    for (const auto& problem : without_a_test(test::source_folder(), tested_elsewhere)) FAIL_CHECK(problem);
}

TEST_CASE("every method's stem is spelled one way") {
    for (const auto& problem : misspelled(test::source_folder())) FAIL_CHECK(problem);
}

TEST_CASE("a missing test and a wrong spelling are found") {
    const test::TemporaryFolder source;
    const auto write = [&](const std::string& path, const std::string& text) { test::write_bytes(source / path, text); };
    using Problems = std::vector<std::string>;
    write("include/doppel/all.hpp", "");
    write("include/doppel/losses/detail/inner.hpp", "");
    write("include/doppel/methods/new.hpp", "struct New {};\n");
    write("include/doppel/train/callbacks/one.hpp", "");
    CHECK(without_a_test(source.path(), {}) == Problems{"no tests/methods/new.cpp", "no tests/train/callbacks/one.cpp"});
    CHECK(without_a_test(source.path(), {{"train/", "x"}, {"methods/new", "x"}}).empty());
    write("tests/methods/new.cpp", "// KoLeo, the paper's name\nint new_clr;\n");
    CHECK(without_a_test(source.path(), {{"train/", "x"}}).empty());
    CHECK(without_a_test(source.path(), {{"train/", "x"}, {"methods/new", "x"}, {"io/", "x"}}) ==
          Problems{"io/ has a test, or is not there: drop the exception", "methods/new has a test, or is not there: drop the exception"});
    CHECK(misspelled(source.path()).empty());
    write("include/doppel/methods/nn_clr.hpp", "KoLeo x;\n");
    CHECK(misspelled(source.path()).size() == 2);
}
