// SPDX-License-Identifier: Apache-2.0
// Any text after an option gives a number inside its range, the one that the C library reads, or none.
#include <doppel/cli/arguments.hpp>
#include <doppel/options/rows.hpp>

#include "fuzz.hpp"

#include <cerrno>

using namespace doppel;
using namespace doppel::fuzz;

namespace {

bool inside(long double number, const options::Range& range) {
    return number >= static_cast<long double>(range.min) && number <= static_cast<long double>(range.max) &&
           !(range.open && number == static_cast<long double>(range.min));
}

template <class T>
void check(const std::string& text, const options::Range& range) {
    T value{};
    const bool is_set = options::Row{.name = "number", .range = range, .value = &value}.set(text);
    if (is_set) {
        expect(inside(static_cast<long double>(value), range), "a number outside its range");
        char* end = nullptr;
        errno = 0;
        if constexpr (std::is_integral_v<T>)
            expect(std::cmp_equal(std::strtoll(text.c_str(), &end, 10), value), "another whole number");
        else
            expect(std::strtod(text.c_str(), &end) == value, "another number");
        expect(errno == 0 && end == text.c_str() + text.size(), "a number with something after it");
    } else {
        expect(value == T{}, "a refused text that changes the value");
    }

    // The same on a command line.
    T number{};
    const std::vector<options::Row> rows{{.name = "number", .range = range, .value = &number}};
    try {
        cli::set_given(cli::parse({"--number=" + text}, "program", "text", {{"Group", rows}}), rows);
        expect(is_set && number == value, "the command line reads another number");
    } catch (const Error& problem) {
        expect(!std::string_view(problem.what()).empty(), "a command line that is refused without a text");
    } catch (const std::exception& problem) {
        finding(std::string("an exception that is no Error: ") + typeid(problem).name(), problem.what());
    }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(text_of({data, size}));
    check<double>(text, {});
    check<double>(text, options::above(0, 10));
    check<std::int64_t>(text, {});
    check<std::int64_t>(text, options::between(0, 1e15));
    check<int>(text, options::width);
    return 0;
}
