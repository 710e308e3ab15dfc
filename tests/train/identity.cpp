// SPDX-License-Identifier: Apache-2.0
#include <doppel/train/identity.hpp>

#include "support/support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("differences between two runs name the method's options first, and what only one of them has") {
    const train::Identity there{{"batch size", "8"}, {"option temperature", "0.2"}, {"seed", "1"}, {"who", "me"}};
    const train::Identity here{{"batch size", "10"}, {"option temperature", "0.5"}, {"seed", "1"}, {"view 2", "crop"}};
    using Texts = std::vector<std::string>;
    CHECK(train::differences(there, there).empty());
    CHECK(train::differences(there, here) == Texts{"temperature is 0.2 there and 0.5 here", "batch size is 8 there and 10 here",
                                                   "who is me there and not set here", "view 2 is not set there and crop here"});
    CHECK(train::differences({{"epochs", "4"}}, {{"epochs", "8"}}, [](const auto& name, const auto& was, const auto& is) {
              return name == "epochs" && std::stoi(is) > std::stoi(was);
          }).empty());
}
