// SPDX-License-Identifier: Apache-2.0
#include <doppel/cli/exit_status.hpp>

#include "support/torch_support.hpp"
#include "support/capture.hpp"

#include <new>
#include <stdexcept>

using namespace doppel;
using namespace doppel::test;

TEST_CASE("what a program throws becomes one line on stderr, and 2 for wrong input, 1 for anything else") {
    const auto ended = [](auto action, bool verbose = false) {
        Capture err(2);
        const int status = cli::exit_status_of("mine", action, verbose);
        return std::pair(status, err.text());
    };
    CHECK(ended([] { return 7; }) == std::pair(7, std::string()));
    CHECK(ended([]() -> int { fail("size must be above 0, got 0"); }) == std::pair(2, std::string("mine: size must be above 0, got 0\n")));
    CHECK(ended([]() -> int { throw std::runtime_error("no"); }) == std::pair(1, std::string("mine: no\n")));
    const auto [status, text] = ended([]() -> int { throw std::bad_alloc(); });
    CHECK(status == 1);
    CHECK(mentions(text, {"mine: out of memory", "--batch-size"}));
    const auto wrong_shapes = [] { return static_cast<int>(at::ones({2, 3}).mm(at::ones({2, 3})).dim()); };
    CHECK(ended(wrong_shapes).first == 1);
    CHECK(mentions(ended(wrong_shapes).second, {"mine: ", "2x3"}));
    CHECK(ended(wrong_shapes).second.find('\n') == ended(wrong_shapes).second.size() - 1);  // without the backtrace
    CHECK(ended(wrong_shapes, true).second.size() > ended(wrong_shapes).second.size());
}
