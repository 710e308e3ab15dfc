// SPDX-License-Identifier: Apache-2.0
// A header gets what it uses of torch, JSON and fmt by its own includes. The check of headers alone does not see this: it
// parses them behind a precompiled header that has all of these.
#include "support/support.hpp"

#include <map>
#include <regex>
#include <set>
#include <sstream>

using namespace doppel;
namespace fs = std::filesystem;

namespace {

/// What stands in a header's code, and the includes of which one must be reached.
struct Need {
    std::string name;
    std::vector<std::string> any_of;
};
const std::vector<Need> needs{
    {"torch::nn::", {"torch/nn/module.h", "torch/torch.h"}},
    {"nlohmann::", {"nlohmann/json.hpp", "nlohmann/json_fwd.hpp"}},
    {"fmt::", {"fmt/format.h", "fmt/core.h"}},
    {"CLI::", {"CLI/CLI.hpp"}},
};

struct Header {
    std::string code;
    std::set<std::string> includes;
};

std::map<std::string, Header> read_headers(const fs::path& folder) {
    static const std::regex include("^\\s*#\\s*include\\s*<([^>]+)>");
    std::map<std::string, Header> headers;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
        if (entry.path().extension() != ".hpp") continue;
        auto& header = headers["doppel/" + entry.path().lexically_relative(folder).generic_string()];
        std::istringstream lines(test::read_text(entry.path()));
        for (std::string line; std::getline(lines, line);) {
            if (std::smatch match; line.find('#') != std::string::npos && std::regex_search(line, match, include))
                header.includes.insert(match[1]);
            header.code += line.substr(0, line.find("//")) + '\n';
        }
    }
    return headers;
}

void reach(const std::map<std::string, Header>& headers, const std::string& from, std::set<std::string>& reached) {
    const auto header = headers.find(from);
    if (!reached.insert(from).second || header == headers.end()) return;
    for (const auto& include : header->second.includes) reach(headers, include, reached);
}

std::vector<std::string> problems_of(const fs::path& folder) {
    const auto headers = read_headers(folder);
    const std::regex function("\\bat::([a-z_0-9]+)\\(");
    // Not operators: parts of ATen/core/Tensor.h and of c10.
    const std::set<std::string> basic{"device", "dtype", "set_num_threads", "get_num_threads", "parallel_for"};
    std::vector<std::string> problems;
    for (const auto& [path, header] : headers) {
        std::set<std::string> reached;
        reach(headers, path, reached);
        const bool all_of_aten = reached.contains("ATen/ATen.h") || reached.contains("torch/nn/module.h");
        for (const auto& need : needs) {
            if (header.code.find(need.name) == std::string::npos) continue;
            bool found = false;
            for (const auto& one : need.any_of) found = found || reached.contains(one);
            if (!found) problems.push_back(path + ": uses " + need.name + " and reaches no <" + need.any_of[0] + ">");
        }
        if (all_of_aten) continue;
        for (auto it = std::sregex_iterator(header.code.begin(), header.code.end(), function); it != std::sregex_iterator(); ++it) {
            auto name = (*it)[1].str();
            if (name.ends_with('_')) name.pop_back();  // at::_foreach_mul_ stands beside at::_foreach_mul
            if (name.ends_with("_out")) name.resize(name.size() - 4);  // at::add_out stands beside at::add
            if (!basic.contains(name) && !reached.contains("ATen/ops/" + name + ".h"))
                problems.push_back(path + ": uses at::" + name + " and reaches no <ATen/ops/" + name + ".h>");
        }
    }
    return problems;
}

}  // namespace

TEST_CASE("every header includes what it uses of torch, JSON and fmt") {
    for (const auto& problem : problems_of(test::source_folder() / "include/doppel")) FAIL_CHECK(problem);
}

TEST_CASE("a forgotten include is found") {
    const test::TemporaryFolder folder;
    test::write_bytes(folder / "a.hpp", "#include <ATen/core/Tensor.h>\n");
    test::write_bytes(folder / "b.hpp", "#include <doppel/a.hpp>\n// fmt::print\nauto x = at::cat({});\ntorch::nn::Module y;\n");
    CHECK(problems_of(folder.path()) ==
          std::vector<std::string>{"doppel/b.hpp: uses torch::nn:: and reaches no <torch/nn/module.h>",
                                   "doppel/b.hpp: uses at::cat and reaches no <ATen/ops/cat.h>"});
}
