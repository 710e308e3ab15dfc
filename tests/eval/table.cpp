// SPDX-License-Identifier: Apache-2.0
#include <doppel/eval/table.hpp>

#include "support/markup.hpp"
#include "support/support.hpp"

using namespace doppel;
using test::count;
using test::mentions;
using test::message_of;

TEST_CASE("A column of numbers is aligned as numbers, and one text in it makes it text") {
    using eval::detail::is_number;
    for (const char* cell : {"3", "-3", "\u22123", "+0.5", ".5", "71.2 %", "\u2013", ""}) CHECK(is_number(cell));
    for (const char* cell : {"a", "-", "seed 1", "\u2212x"}) CHECK_FALSE(is_number(cell));
    const auto html = eval::detail::table_tag({.columns = {"name", "a", "b"}, .rows = {{"x", "1", "2"}, {"y", "\u2013", "two"}}});
    CHECK(test::well_formed(html));
    CHECK(count(html, "class=\"number\"") == 3);  // the head and two cells of a
    CHECK(mentions(html, {"<th scope=\"col\" class=\"number\">a</th>", "<th scope=\"col\">b</th>"}));
}

TEST_CASE("The best cells have a mark") {
    const auto html = eval::detail::table_tag({.columns = {"a"}, .rows = {{"1"}, {"2"}}, .best = {{1, 0}}});
    CHECK(count(html, "\u2605") == 1);
    CHECK(mentions(html, {"<strong class=\"best\">2 "}));
}

TEST_CASE("A row of another length is rejected by the table's title") {
    CHECK(mentions(message_of([] { eval::detail::table_tag({.title = "Images", .columns = {"a", "b"}, .rows = {{"1"}}}); }),
                   {"\"Images\"", "1 cells", "expected 2"}));
}
