// SPDX-License-Identifier: Apache-2.0
// A Python with packages, for tests against other libraries.
#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>

namespace doppel::test {

/// Runs Python with arguments for a shell; the exit status and what it wrote to both outputs.
inline std::pair<int, std::string> run_python(const std::string& python, const std::string& arguments) {
    std::string text;
    std::FILE* pipe = ::popen((python + " " + arguments + " 2>&1").c_str(), "r");
    if (!pipe) return {-1, "cannot start " + python};
    char part[512];
    while (std::fgets(part, sizeof part, pipe)) text += part;
    const int status = ::pclose(pipe);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text};
}

/// The Python that PYTHON names, else python3, if it has all of these modules.
inline std::optional<std::string> python_with(std::initializer_list<const char*> modules) {
    const char* chosen = std::getenv("PYTHON");
    std::string python = chosen ? chosen : "python3", list;
    for (const char* module : modules) list += std::string(" ") + module;
    const std::string found = "-c 'import importlib.util, sys; sys.exit(not all(map(importlib.util.find_spec, sys.argv[1:])))'";  // quick
    if (run_python(python, found + list).first != 0) return std::nullopt;
    return python;
}

}  // namespace doppel::test
