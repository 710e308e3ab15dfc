// SPDX-License-Identifier: Apache-2.0
#include <doppel/core/version.hpp>

#include "support/support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("the version is that of CMakeLists.txt and of CITATION.cff") {
    const std::string number = version;
    CHECK(read_text(source_folder() / "CMakeLists.txt").find("project(doppel VERSION " + number + " ") != std::string::npos);
    CHECK(read_text(source_folder() / "CITATION.cff").find("\nversion: " + number + "\n") != std::string::npos);
}
