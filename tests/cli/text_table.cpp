// SPDX-License-Identifier: Apache-2.0
#include <doppel/cli/text_table.hpp>

#include "support/support.hpp"

using namespace doppel;

TEST_CASE("columns are aligned by what is seen, empty ones left out") {
    CHECK(cli::text_table({{"run", "gain", "none", "note"}, {"längst", "–", "", "x"}, {"b", "+1", ""}}) ==
          "run     gain  note\n"
          "längst  –     x\n"
          "b       +1\n");
    CHECK(cli::text_table({}).empty());
}
