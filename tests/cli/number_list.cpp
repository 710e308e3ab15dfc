// SPDX-License-Identifier: Apache-2.0
#include <doppel/cli/number_list.hpp>

#include "support/support.hpp"

#include <cstdint>

using namespace doppel;
using test::mentions;
using test::message_of;

TEST_CASE("a list of numbers keeps its order, and anything else is an error that names the option") {
    CHECK(cli::number_list<std::int64_t>("k", "20,1,5", 1, 100) == std::vector<std::int64_t>{20, 1, 5});
    CHECK(cli::number_list<double>("labels", "0.01,1", 0, 1) == std::vector<double>{0.01, 1});
    for (const char* wrong : {"", "5,", "x", "0", "101", "5;6", "1.5"})
        CHECK(mentions(message_of([&] { cli::number_list<std::int64_t>("k", wrong, 1, 100); }), {"--k", "numbers", wrong}));
}
