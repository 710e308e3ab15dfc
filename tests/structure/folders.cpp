// SPDX-License-Identifier: Apache-2.0
// The rules of docs/architecture.md and CONTRIBUTING.md about folders and headers, checked against the headers themselves.
#include "support/support.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <sstream>

using namespace doppel;
namespace fs = std::filesystem;

namespace {

/// A detail header that another folder may use. An exception that nobody needs any more must go from the list.
struct Exception {
    std::string folder, detail, why;
};
const std::vector<Exception> exceptions{
    {"image", "io/detail/file.hpp", "a descriptor that closes itself: used by two folders, of no use to users"},
    {"data", "io/detail/file.hpp", "the same descriptor, for places of a file"},
    {"data", "io/detail/crc.hpp", "checksums of what is no safetensors file: used by two folders, of no use to users"},
    {"weights", "io/detail/crc.hpp", "the checksum that tells which weights a run started from"},
    {"data", "image/detail/file.hpp", "reads a file, or its start: used by two folders, of no use to users"},
};

struct Folder {
    std::string name, torch;  ///< torch: the cell of the table
};

struct Header {
    std::string folder;                 ///< empty for an umbrella
    std::string text, code;             ///< code: without comments, and with empty literals
    std::vector<std::string> includes;  ///< as written: <…> or "…"
};

struct Tree {
    std::vector<Folder> folders;            ///< from the top
    std::map<std::string, Header> headers;  ///< by path below include/doppel
};

std::string trimmed(const std::string& text) {
    const auto first = text.find_first_not_of(" \t\r\n");
    return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(" \t\r\n") + 1 - first);
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

/// The folders table; folders that share a row are ordered from left to right.
std::vector<Folder> folders_of(const std::string& document) {
    std::vector<Folder> folders;
    bool inside = false;
    for (const auto& line : lines_of(document)) {
        if (line.starts_with("## ")) inside = line == "## Folders";
        if (!inside || !line.starts_with("| `")) continue;
        std::vector<std::string> cells;
        std::istringstream row(line.substr(1));
        for (std::string cell; std::getline(row, cell, '|');) cells.push_back(trimmed(cell));
        REQUIRE(cells.size() == 3);
        std::istringstream names(cells[0]);
        for (std::string name; std::getline(names, name, '`');)
            if (name.ends_with('/')) folders.push_back({name.substr(0, name.size() - 1), cells[2]});
    }
    return folders;
}

/// C++ without its comments and without what stands in its literals.
std::string code_of(const std::string& text) {
    std::string code;
    const auto behind = [&](std::string_view end, std::size_t from) {
        const auto at = text.find(end, from);
        return at == std::string::npos ? text.size() : at + end.size();
    };
    for (std::size_t i = 0; i < text.size();) {
        const auto before = i == 0 ? ' ' : text[i - 1];
        if (text.compare(i, 2, "//") == 0) {
            i = std::min(text.find('\n', i), text.size());
        } else if (text.compare(i, 2, "/*") == 0) {
            i = behind("*/", i + 2);
        } else if (text.compare(i, 2, "R\"") == 0) {
            const auto open = std::min(text.find('(', i), text.size());
            i = behind(")" + text.substr(i + 2, open - i - 2) + "\"", open);
            code += "\"\"";
        } else if (text[i] == '"' || (text[i] == '\'' && !std::isxdigit(static_cast<unsigned char>(before)))) {
            const char quote = text[i++];
            while (i < text.size() && text[i] != quote) i += text[i] == '\\' ? 2u : 1u;
            ++i;
            code += std::string(2, quote);
        } else {
            code += text[i++];
        }
    }
    return code;
}

/// The words at the start of a statement: true when they are these.
bool begins(const std::string& statement, std::initializer_list<std::string_view> words) {
    std::istringstream in(statement);
    for (const auto word : words)
        if (std::string next; !(in >> next) || next != word) return false;
    return true;
}

/// What a line includes, <…> or "…"; nothing when it is no include.
std::string included(const std::string& line) {
    auto rest = trimmed(line);
    for (const std::string_view part : {"#", "include"}) {
        if (!rest.starts_with(part)) return {};
        rest = trimmed(rest.substr(part.size()));
    }
    const auto end = rest.find(rest.starts_with('<') ? '>' : '"', 1);
    return end == std::string::npos ? rest : rest.substr(0, end + 1);
}

Tree read_tree(const fs::path& source) {
    Tree tree{folders_of(test::read_text(source / "docs/architecture.md")), {}};
    const auto root = source / "include/doppel";
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
        if (!entry.is_regular_file()) continue;
        const auto path = entry.path().lexically_relative(root).generic_string();
        auto& header = tree.headers[path];
        if (path.find('/') != std::string::npos) header.folder = path.substr(0, path.find('/'));
        header.text = test::read_text(entry.path());
        header.code = code_of(header.text);
        for (const auto& line : lines_of(header.text))
            if (const auto include = included(line); !include.empty()) header.includes.push_back(include);
    }
    return tree;
}

/// The path below include/doppel, or "" for a header that is not doppel's.
std::string own(const std::string& include) {
    constexpr std::string_view start = "<doppel/";
    return include.starts_with(start) ? include.substr(start.size(), include.size() - start.size() - 1) : "";
}

bool reaches_torch(const Tree& tree, const std::string& path, std::set<std::string>& seen) {
    const auto header = tree.headers.find(path);
    if (header == tree.headers.end() || !seen.insert(path).second) return false;
    return std::any_of(header->second.includes.begin(), header->second.includes.end(), [&](const auto& include) {
        return include.starts_with("<torch/") || include.starts_with("<ATen/") || include.starts_with("<c10/") ||
               reaches_torch(tree, own(include), seen);
    });
}

/// True for `using namespace` outside every body of a function or class.
bool opens_a_namespace(const std::string& code) {
    std::vector<bool> namespaces;  // of each open brace, whether it is one of a namespace
    std::string statement;
    bool directive = false;
    for (const auto& line : lines_of(code)) {
        directive = directive || trimmed(line).starts_with("#");
        if (directive) {
            directive = line.ends_with("\\");
            continue;
        }
        for (const char c : line + ' ') {
            if (c != ';' && c != '{' && c != '}') {
                statement += c;
                continue;
            }
            if (c == '{')
                namespaces.push_back(begins(statement, {"namespace"}) || begins(statement, {"inline", "namespace"}) ||
                                     begins(statement, {"extern", "\"\""}));
            if (c == '}' && !namespaces.empty()) namespaces.pop_back();
            if (c == ';' && begins(statement, {"using", "namespace"}) &&
                std::all_of(namespaces.begin(), namespaces.end(), [](bool is) { return is; }))
                return true;
            statement.clear();
        }
    }
    return false;
}

/// True when `name` stands in the code and is not the end of a longer name.
bool names(const std::string& code, const std::string& name) {
    for (auto at = code.find(name); at != std::string::npos; at = code.find(name, at + 1))
        if (at == 0 || (!std::isalnum(static_cast<unsigned char>(code[at - 1])) && code[at - 1] != '_')) return true;
    return false;
}

/// All broken rules, one line each.
std::vector<std::string> problems_of(const Tree& tree, const std::vector<Exception>& excepted) {
    std::vector<std::string> problems;
    const auto rank = [&](const std::string& folder) {
        return std::find_if(tree.folders.begin(), tree.folders.end(), [&](const Folder& r) { return r.name == folder; }) -
               tree.folders.begin();
    };
    std::set<std::string> used;
    const auto may_use = [&](const std::string& folder, const std::string& detail) {
        for (const auto& one : excepted)
            if (one.folder == folder && one.detail == detail) return used.insert(folder + detail), true;
        return false;
    };
    for (const auto& [path, header] : tree.headers) {
        const auto wrong = [&, &path = path](const std::string& what) { problems.push_back(path + ": " + what); };
        const auto lines = lines_of(header.text);

        if (lines.empty() || lines.front() != "// SPDX-License-Identifier: Apache-2.0")
            wrong("no SPDX line at its start");
        if (!path.ends_with(".cuh") && std::count(lines.begin(), lines.end(), "#pragma once") != 1) wrong("no #pragma once");
        if (lines.size() > 400) wrong(std::to_string(lines.size()) + " lines, more than 400");
        if (opens_a_namespace(header.code)) wrong("using namespace at namespace scope");
        for (const auto& include : header.includes)
            if (include.front() == '"' || (!own(include).empty() && !tree.headers.contains(own(include))))
                wrong("includes " + include + ", expected <doppel/...> of a header that is there");

        if (header.folder.empty()) {
            for (const auto& line : lines_of(header.code))
                if (!trimmed(line).empty() && line != "#pragma once" && !line.starts_with("#include <doppel/"))
                    wrong("an umbrella may only include, but says " + line);
            continue;
        }
        const auto folder = static_cast<std::size_t>(rank(header.folder));
        if (folder == tree.folders.size()) {
            wrong("its folder is not in the folders table");
            continue;
        }
        for (const auto& include : header.includes) {
            const auto other = own(include);
            if (other.empty()) continue;
            const auto its_folder = other.substr(0, other.find('/'));
            if (other.find('/') == std::string::npos)
                wrong("includes the umbrella " + other);
            else if (rank(its_folder) > rank(header.folder))
                wrong("includes " + other + ", whose folder comes later in the table");
            else if (its_folder != header.folder && other.find("/detail/") != std::string::npos &&
                     !may_use(header.folder, other))
                wrong("includes " + other + ", a detail of another folder");
        }
        for (const auto& other : tree.folders)
            if (other.name != header.folder && names(header.code, other.name + "::detail::") &&
                std::none_of(excepted.begin(), excepted.end(), [&, &header = header](const Exception& one) {
                    return one.folder == header.folder && one.detail.starts_with(other.name + "/");
                }))
                wrong("uses " + other.name + "::detail, of another folder");

        const auto& torch = tree.folders[folder].torch;
        std::set<std::string> seen;
        const auto stem = header.folder.size() < path.size() ? path.substr(header.folder.size() + 1) : "";  // "npy.hpp"
        const bool allowed = torch == "yes" || torch == "some" ||
                             (torch != "no" && (", " + torch + ",").find(", " + stem.substr(0, stem.find('.')) + ",") != std::string::npos);
        if (!allowed && reaches_torch(tree, path, seen))
            wrong("reaches torch; the folders table says of " + header.folder + "/: " + torch);
    }
    for (const auto& folder : tree.folders)
        if (std::none_of(tree.headers.begin(), tree.headers.end(),
                         [&](const auto& entry) { return entry.second.folder == folder.name; }))
            problems.push_back(folder.name + "/: in the folders table, but no header is in it");
    for (const auto& one : excepted)
        if (!used.contains(one.folder + one.detail))
            problems.push_back(one.detail + ": " + one.folder + "/ does not include it any more; drop the exception");
    return problems;
}

}  // namespace

TEST_CASE("Every header keeps the rules of its folder") {
    const Tree tree = read_tree(test::source_folder());
    CHECK(tree.folders.size() >= 10);
    CHECK(tree.headers.size() >= 50);
    for (const auto& problem : problems_of(tree, exceptions)) FAIL_CHECK(problem);
}

TEST_CASE("Each broken rule is found") {
    const test::TemporaryFolder source;
    const std::string start = "// SPDX-License-Identifier: Apache-2.0\n#pragma once\n";
    const auto write = [&](const std::string& path, const std::string& text) {
        test::write_bytes(source / ("include/doppel/" + path), text);
    };
    test::write_bytes(source / "docs/architecture.md",
                      "# A\n| `not/` | a folder | no |\n## Folders\n| folder | holds | torch |\n|---|---|---|\n"
                      "| `core/` | x | some |\n| `io/` | x | files |\n| `image/`, `data/` | x | no |\n"
                      "## B\n| `nor/` | x | no |\n");
    const auto problems = [&](const std::vector<Exception>& excepted = {}) {
        std::string all;
        for (const auto& problem : problems_of(read_tree(source.path()), excepted)) all += problem + "\n";
        return all;
    };
    const auto broken = [&](const std::string& path, const std::string& text, const std::string& expected) {
        const auto file = source / ("include/doppel/" + path);
        const auto before = test::read_text(file);
        write(path, text);
        CHECK(problems() == expected);
        if (before.empty())
            fs::remove(file);
        else
            write(path, before);
    };
    write("core/tensor.hpp", start + "#include <ATen/ATen.h>\n");
    write("core/error.hpp", start + "#include <string>\n");
    write("io/files.hpp", start + "#include <doppel/core/tensor.hpp>\n#include <doppel/io/detail/bytes.hpp>\n");
    write("io/detail/bytes.hpp", start);
    write("image/image.hpp", start + "#include <doppel/core/error.hpp>\n");
    write("data/set.hpp", start + "#include <doppel/image/image.hpp>\n");
    write("all.hpp", start + "// All.\n#include <doppel/data/set.hpp>\n");
    CHECK(problems() == "");

    const auto say = [](const std::string& text) { return "image/image.hpp: " + text + "\n"; };
    const auto image = [&](const std::string& text, const std::string& expected) {
        broken("image/image.hpp", start + text, expected.empty() ? "" : say(expected));
    };
    image("#include <doppel/data/set.hpp>\n", "includes data/set.hpp, whose folder comes later in the table");
    image("#include <doppel/all.hpp>\n", "includes the umbrella all.hpp");
    image("  #  include <doppel/io/detail/bytes.hpp>\n", "includes io/detail/bytes.hpp, a detail of another folder");
    image("int x = io::detail::x;\n", "uses io::detail, of another folder");
    image("#include \"image.hpp\"\n", "includes \"image.hpp\", expected <doppel/...> of a header that is there");
    image("#include <doppel/core/none.hpp>\n",
          "includes <doppel/core/none.hpp>, expected <doppel/...> of a header that is there");
    image(std::string(399, '\n'), "401 lines, more than 400");
    image(std::string(398, '\n'), "");
    broken("image/image.hpp", "#pragma once\n", say("no SPDX line at its start"));
    broken("image/image.hpp", start.substr(0, start.find('#')), say("no #pragma once"));
    broken("shop/x.hpp", start, "shop/x.hpp: its folder is not in the folders table\n");
    broken("all.hpp", start + "int x;\n", "all.hpp: an umbrella may only include, but says int x;\n");
    broken("io/other.hpp", start + "#include <doppel/core/tensor.hpp>\n",
           "io/other.hpp: reaches torch; the folders table says of io/: files\n");
    write("image/image.hpp", start + "#include <doppel/io/detail/bytes.hpp>\nint x = io::detail::x;\n");
    CHECK(problems({{"image", "io/detail/bytes.hpp", ""}}) == "");
    CHECK(problems({{"image", "io/detail/bytes.hpp", ""}, {"data", "io/detail/bytes.hpp", ""}}) ==
          "io/detail/bytes.hpp: data/ does not include it any more; drop the exception\n");
    const std::string reaches = "reaches torch; the folders table says of ";
    broken("image/image.hpp", start + "#include <doppel/io/files.hpp>\n",
           "data/set.hpp: " + reaches + "data/: no\n" + say(reaches + "image/: no"));
}

TEST_CASE("using namespace is judged by its scope") {
    const auto found = [](const std::string& text) { return opens_a_namespace(code_of(text)); };
    CHECK(found("using namespace std;"));
    CHECK(found("#include <string>\nnamespace a {\nint x = 1'000;\nusing  namespace std;\n}"));
    CHECK(found("namespace a { namespace b { void f() {} using namespace std; } }"));
    CHECK(found("inline namespace a {\nusing\nnamespace std;\n}"));
    CHECK(found("extern \"C\" {\nusing namespace std;\n}"));
    CHECK(found("const char* x = \"{\"; char y = '{'; auto z = R\"a({ \" {)a\"; /* { */\nusing namespace std;"));
    CHECK_FALSE(found("namespace a {\nvoid f() {\n    using namespace std;\n}\n}"));
    CHECK_FALSE(found("namespace fs = std::filesystem;\nstruct A {\n    void f() { using namespace std; }\n};"));
    CHECK_FALSE(found("// using namespace std;\n/* using namespace std; */\nauto x = \"using namespace std;\";"));
    CHECK_FALSE(found("#define X using namespace std;"));
}
