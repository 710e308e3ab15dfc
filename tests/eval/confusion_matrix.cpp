// SPDX-License-Identifier: Apache-2.0
#include <doppel/eval/confusion_matrix.hpp>

#include "support/markup.hpp"
#include "support/support.hpp"

using namespace doppel;
using test::count;
using test::mentions;
using test::message_of;

namespace {

eval::ConfusionMatrix of_classes(std::size_t classes) {
    eval::ConfusionMatrix matrix{.title = "k-NN"};
    for (std::size_t i = 0; i < classes; ++i) matrix.classes.push_back("class " + std::to_string(i));
    matrix.counts.assign(classes * classes, 1);
    return matrix;
}

}  // namespace

TEST_CASE("The tables of a confusion matrix count by rows") {
    const eval::ConfusionMatrix matrix{.title = "k-NN", .classes = {"cat", "dog", "elk"}, .counts = {6, 3, 1, 5, 5, 0, 0, 0, 0}};
    const auto per_class = eval::detail::per_class_table(matrix);
    REQUIRE(per_class.rows.size() == 3);
    CHECK(per_class.rows[0] == std::vector<std::string>{"cat", "10", "60.0\u00a0%", "dog", "30.0\u00a0%"});
    CHECK(per_class.rows[1] == std::vector<std::string>{"dog", "10", "50.0\u00a0%", "cat", "50.0\u00a0%"});
    CHECK(per_class.rows[2] == std::vector<std::string>{"elk", "0", "\u2013", "\u2013", "\u2013"});
    const auto mistakes = eval::detail::mistakes_table(matrix, 2);
    REQUIRE(mistakes.rows.size() == 2);
    CHECK(mistakes.rows[0] == std::vector<std::string>{"dog", "cat", "5", "50.0\u00a0%"});
    CHECK(mistakes.rows[1] == std::vector<std::string>{"cat", "dog", "3", "30.0\u00a0%"});
}

TEST_CASE("A cell has the color of right or wrong, by the share of its row, and its count") {
    const auto svg = eval::detail::confusion_tag({.title = "k-NN", .classes = {"cat", "dog"}, .counts = {4, 5, 0, 9}});
    CHECK(test::well_formed(svg));
    CHECK(count(svg, "fill:var(--right)") == 2);  // 4 of 9, and all
    CHECK(count(svg, "fill:var(--wrong)") == 1);
    CHECK(mentions(svg, {"data-counts=\"4 5 0 9\"", "data-classes=\"cat\ndog\"", ">4</text>", ">cat</text>", "true class"}));
    CHECK(count(svg, ">0</text>") == 0);
}

TEST_CASE("Many classes have no names at their cells, and too many have tables only") {
    using eval::detail::confusion_html;
    CHECK(count(confusion_html(of_classes(40)), ">class 7</text>") == 2);
    CHECK(count(confusion_html(of_classes(41)), ">class 7</text>") == 0);
    CHECK(count(confusion_html(of_classes(100)), "<svg") == 1);
    CHECK(confusion_html(of_classes(100)).size() < 500'000);
    const auto many = confusion_html(of_classes(101));
    CHECK(count(many, "<svg") == 0);
    CHECK(mentions(many, {"101 classes are too many to draw", "Most frequent mistakes", "class 100"}));
    CHECK(test::well_formed(many));
}

TEST_CASE("Counts that do not fit the classes are rejected") {
    CHECK(mentions(message_of([] { eval::detail::confusion_html({.title = "k-NN", .classes = {"a", "b"}, .counts = {1, 2, 3}}); }),
                   {"\"k-NN\"", "2 classes", "3 counts", "expected 4"}));
    CHECK(mentions(message_of([] { eval::detail::confusion_html({.title = "k-NN", .classes = {"a"}, .counts = {-1}}); }), {"-1"}));
}
