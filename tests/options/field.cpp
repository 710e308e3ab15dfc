// SPDX-License-Identifier: Apache-2.0
#include <doppel/options/field.hpp>

#include "support/options.hpp"

using namespace doppel;
using namespace doppel::test;
using namespace doppel::options;

namespace {

struct Forgetful {
    double temperature = 0.1;
    bool zero_init = true;
    static constexpr auto fields() { return std::tuple(field(&Forgetful::temperature, "temperature", "of the loss")); }
};

/// What is no option has no row, but counts as described.
struct Partly {
    double temperature = 0.1;
    void* caller = nullptr;
    static constexpr auto fields() { return std::tuple(field(&Partly::temperature, "temperature", "of the loss"), hidden(&Partly::caller)); }
};

}  // namespace

TEST_CASE("an aggregate is described when fields() names each member once") {
    STATIC_REQUIRE(described<Example>);
    STATIC_REQUIRE(described<Partly>);
    STATIC_REQUIRE(!described<Forgetful>);
    Partly partly;
    CHECK(rows_of(partly).size() == 1);
}

TEST_CASE("an enumeration's values have names") {
    CHECK(name_of(Optimizer::sgd) == "sgd");
    CHECK(name_of(Optimizer::lars) == "lars");
}
