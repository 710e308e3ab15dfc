// SPDX-License-Identifier: Apache-2.0
#include <doppel/run/data_wait.hpp>

#include "support/support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("advice on waiting names what is left to do, and is silent when training hardly waits") {
    CHECK(run::data_wait_hint(0.2, 1, 8).empty());
    CHECK(mentions(run::data_wait_hint(0.5, 2, 8), {"50 %", "--workers 8 instead of 2"}));
    CHECK(mentions(run::data_wait_hint(0.9, 8, 8), {"90 %", "all 8 cores", "pack"}));
    CHECK(run::data_wait_hint(0.9, 8, 8).find("--workers") == std::string::npos);
}
