// SPDX-License-Identifier: Apache-2.0
#include <doppel/eval/measure.hpp>
#include <doppel/eval/report.hpp>

#include "support/markup.hpp"
#include "support/support.hpp"

using namespace doppel;
using test::count;
using test::mentions;
using test::message_of;

TEST_CASE("The k-NN headline compares with raw pixels, the untrained encoder and, where classes are known, guessing") {
    const auto measures = eval::knn_headline({.trained = 0.7, .untrained = 0.2, .pixels = 0.3, .k = 5, .classes = 4});
    REQUIRE(measures.size() == 4);
    CHECK(measures[0].share == 0.7);
    CHECK(measures[0].highlight);
    CHECK(mentions(measures[0].explanation, {"5 nearest"}));
    CHECK(measures[1].share == 0.3);
    CHECK(measures[2].share == 0.2);
    CHECK(measures[3].share == 0.25);
    CHECK(eval::knn_headline({}).size() == 3);
}

TEST_CASE("The interval of a measure stands on its bar and in its text") {
    const auto html = eval::detail::measures_html({{.name = "k-NN", .share = 0.5, .interval = std::pair(0.4, 0.625)}});
    CHECK(mentions(html, {"left:40.00%;width:22.50%", "95\u00a0% confidence: 40.0 to 62.5\u00a0%."}));
    CHECK(count(eval::detail::measures_html({{.name = "k-NN", .share = 0.5}}), "interval") == 0);
    CHECK(mentions(message_of([] { eval::detail::measures_html({{.name = "k-NN", .share = 0.5, .interval = std::pair(0.4, 62.5)}}); }),
                   {"k-NN", "62.5", "between 0 and 1"}));
}
