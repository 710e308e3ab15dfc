// SPDX-License-Identifier: Apache-2.0
#include <doppel/cli/exit_status.hpp>

#include "support/capture.hpp"
#include "support/torch_support.hpp"

#include <new>
#include <stdexcept>

using namespace doppel;
using namespace doppel::test;

TEST_CASE("what a program throws becomes one line and an exit status") {
    const auto ended = [](auto&& action, bool verbose = false) {
        Capture err(2);
        const int status = cli::exit_status_of("mine", action, verbose);
        return std::pair(status, err.text());
    };
    CHECK(ended([] { return 5; }) == std::pair(5, std::string()));
    CHECK(ended([]() -> int { fail("photos: no such folder"); }) == std::pair(2, std::string("mine: photos: no such folder\n")));
    CHECK(ended([]() -> int { throw std::runtime_error("broken"); }) == std::pair(1, std::string("mine: broken\n")));
    const auto [status, text] = ended([]() -> int { throw std::bad_alloc(); });
    CHECK(status == 1);
    CHECK(mentions(text, {"mine: out of memory", "--batch-size"}));
    const auto torch = [] { return at::zeros({2, 3}).mm(at::zeros({2, 3})).size(0) > 0 ? 1 : 0; };
    const auto brief = ended(torch), whole = ended(torch, true);
    CHECK(brief.first == 1);
    CHECK(std::count(brief.second.begin(), brief.second.end(), '\n') == 1);
    CHECK(whole.second.size() >= brief.second.size());
}
