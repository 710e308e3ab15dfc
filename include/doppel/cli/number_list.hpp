// SPDX-License-Identifier: Apache-2.0
// Lists of numbers on the command line: "1,5,20".
#pragma once

#include <doppel/core/error.hpp>

#include <charconv>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

namespace doppel::cli {

/// Returns the numbers of "1,5,20", each from `least` to `most`. Throws Error, "--k must be …, got '…'", for other texts.
template <class Number>
std::vector<Number> number_list(const std::string& name, const std::string& text, Number least, Number most) {
    std::vector<Number> list;
    std::istringstream in(text);
    for (std::string word; std::getline(in, word, ',');) {
        Number value{};
        const auto [end, problem] = std::from_chars(word.data(), word.data() + word.size(), value);
        require(problem == std::errc{} && end == word.data() + word.size() && value >= least && value <= most, "--", name,
                " must be numbers from ", least, " to ", most, " with commas between them, got '", text, "'");
        list.push_back(value);
    }
    require(!list.empty() && !text.ends_with(','), "--", name, " must be numbers with commas between them, got '", text, "'");
    return list;
}

}  // namespace doppel::cli
