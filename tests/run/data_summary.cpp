// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/memory.hpp>
#include <doppel/run/data_summary.hpp>

#include "support/support.hpp"

using namespace doppel;

TEST_CASE("The images of each class are counted in each part, and those without a label apart") {
    const std::vector<Image> images(4, Image(1, 1, 3));
    const std::vector<std::string> classes{"cat", "dog"};
    const data::Dataset labeled = data::Memory(images, {0, 1, 1, 1}, classes), without = data::Memory(images);
    const auto table = run::class_table({{"training", labeled}, {"validation", labeled}}, classes);
    CHECK(table.columns == std::vector<std::string>{"class", "training", "validation"});
    CHECK(table.rows == std::vector<std::vector<std::string>>{{"cat", "1", "1"}, {"dog", "3", "3"}});
    CHECK_FALSE(table.folded);
    const auto mixed = run::class_table({{"training", without}, {"bank", labeled}}, classes);
    REQUIRE(mixed.rows.size() == 3);
    CHECK(mixed.rows[2] == std::vector<std::string>{"no label", "4", "0"});
    CHECK(run::class_table({{"training", without}}, {}).rows.empty());
    CHECK(run::class_table({{"training", labeled}}, std::vector<std::string>(13, "x")).folded);
}
