// SPDX-License-Identifier: Apache-2.0
// A program's main(), called with arguments, and what it left.
#pragma once

#include "support/capture.hpp"

#include <string>
#include <utility>
#include <vector>

namespace doppel::test {

struct Ended {
    int status;
    std::string out, err;
};

/// Calls program(argc, argv) with `name` in front of the arguments.
template <class Program>
Ended ended(const Program& program, const std::string& name, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), name);
    std::vector<char*> argv;
    for (auto& argument : arguments) argv.push_back(argument.data());
    Capture out(1), err(2);
    const int status = program(static_cast<int>(argv.size()), argv.data());
    return {status, out.text(), err.text()};
}

}  // namespace doppel::test
