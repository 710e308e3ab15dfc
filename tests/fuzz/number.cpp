// SPDX-License-Identifier: Apache-2.0
// Any text after an option gives a number inside its limits, the one that the C library reads, or none.
#include <doppel/cli/field.hpp>

#include "fuzz.hpp"

#include <cerrno>

using namespace doppel;
using namespace doppel::fuzz;

namespace {

bool inside(long double number, const Limits& limits) {
    return number >= static_cast<long double>(limits.min) && number <= static_cast<long double>(limits.max) &&
           !(limits.above_min && number == static_cast<long double>(limits.min));
}

template <class T>
void check(const std::string& text, const Limits& limits) {
    const auto value = cli::detail::parse<T>(text, limits);
    if (value) {
        expect(inside(static_cast<long double>(*value), limits), "a number outside its limits");
        char* end = nullptr;
        errno = 0;
        if constexpr (std::is_integral_v<T>)
            expect(std::cmp_equal(std::strtoll(text.c_str(), &end, 10), *value), "another whole number");
        else
            expect(std::strtod(text.c_str(), &end) == *value, "another number");
        expect(errno == 0 && end == text.c_str() + text.size(), "a number with something after it");
    }

    // The same on a command line.
    CLI::App app;
    T number{};
    std::optional<T> optional;
    cli::AddOptions add{app, "Group"};
    add("number", number, "a number", limits);
    add("optional", optional, "a number or none", limits);
    try {
        app.parse(std::vector<std::string>{"--optional=" + text, "--number=" + text});
        expect(value && number == *value && optional == value, "the command line reads another number");
    } catch (const CLI::ParseError& problem) {
        expect(!std::string_view(problem.what()).empty(), "a command line that is refused without a text");
    } catch (const std::exception& problem) {
        finding(std::string("an exception that is no ParseError: ") + typeid(problem).name(), problem.what());
    }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(text_of({data, size}));
    check<double>(text, {});
    check<double>(text, {0, 10, true});
    check<std::int64_t>(text, {});
    check<std::int64_t>(text, {0, 1e15});
    check<int>(text, {1, 1 << 20});
    return 0;
}
