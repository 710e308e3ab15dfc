// SPDX-License-Identifier: Apache-2.0
#include <doppel/eval/comparison.hpp>

#include "support/markup.hpp"
#include "support/support.hpp"

#include <cmath>

using namespace doppel;
using test::count;
using test::mentions;
using test::message_of;

namespace {

using Better = eval::Comparison::Better;

std::string page_of(const eval::Comparison& comparison) {
    const test::TemporaryFolder folder;
    eval::write_comparison(folder / "comparison.html", comparison);
    auto page = test::read_text(folder / "comparison.html");
    const auto script = eval::detail::page_script();
    return page.erase(page.find(script), script.size());
}

}  // namespace

TEST_CASE("A comparison has a row for each run and marks the best of each figure") {
    const auto table = eval::detail::figures_table(
        {.runs = {{"a"}, {"b"}, {"c"}},
         .figures = {{.name = "k-NN", .values = {0.5, 0.7004, 0.7}, .digits = 1, .percent = true},
                     {.name = "loss", .values = {3, 2.5, NAN}, .better = Better::lower, .digits = 2},
                     {.name = "epochs", .values = {10, 20, 10}, .better = Better::neither, .digits = 0},
                     {.name = "only one", .values = {NAN, 1, NAN}},
                     {.name = "all alike", .values = {1, 1, 1}}}});
    CHECK(table.columns == std::vector<std::string>{"run", "k-NN", "loss", "epochs", "only one", "all alike"});
    CHECK(table.rows[1] == std::vector<std::string>{"b", "70.0\u00a0%", "2.50", "20", "1.000", "1.000"});
    CHECK(table.rows[2][2] == "\u2013");
    // 70.04 and 70.00 are shown alike, so both are best.
    CHECK(table.best == std::vector<std::pair<std::size_t, std::size_t>>{{1, 1}, {2, 1}, {1, 2}});
}

TEST_CASE("A comparison is a page like a report: escaped, well-formed, without empty sections") {
    const std::string nasty = "<script>alert('x')</script>&\"";
    const auto page = page_of({.title = nasty,
                               .summary = nasty,
                               .runs = {{nasty, nasty}, {"b"}},
                               .measures = {{.name = nasty, .share = 0.5}},
                               .figures = {{.name = nasty, .values = {1, 2}, .explanation = nasty}},
                               .facts = {{nasty, {nasty, "2"}}},
                               .curves = {{.name = nasty, .series = {{nasty, {{0, 1}, {1, 2}}}, {"b", {{0, 2}}}}}},
                               .tables = {{.title = nasty, .columns = {nasty}, .rows = {{nasty}}}}});
    CHECK(test::well_formed(page));
    CHECK(count(page, "<script>alert") == 0);
    CHECK(count(page, "<section") == 6);
    CHECK(mentions(page, {"What was learned", "Figures", "What differs", "How they went", "To repeat them"}));
    CHECK(count(page_of({.title = "none"}), "<section") == 0);
}

TEST_CASE("Values of another number than runs are rejected by name") {
    const test::TemporaryFolder folder;
    const auto text = [&](const eval::Comparison& comparison) {
        const auto message = message_of([&] { eval::write_comparison(folder / "comparison.html", comparison); });
        CHECK(std::filesystem::is_empty(folder.path()));
        return message;
    };
    CHECK(mentions(text({.runs = {{"a"}, {"b"}}, .figures = {{.name = "k-NN", .values = {1}}}}), {"\"k-NN\"", "1 values", "expected 2"}));
    CHECK(mentions(text({.runs = {{"a"}}, .facts = {{"lr", {"1", "2"}}}}), {"\"lr\"", "2 values", "expected 1"}));
}
