// SPDX-License-Identifier: Apache-2.0
#include <doppel/eval/chart.hpp>

#include "support/markup.hpp"
#include "support/support.hpp"

#include <algorithm>
#include <cmath>

using namespace doppel;
using namespace doppel::test;

TEST_CASE("Ticks are round numbers inside the range") {
    const auto ticks = [](std::initializer_list<double> values, bool logarithmic, bool rounded = true) {
        eval::detail::Axis axis(logarithmic);
        for (const double value : values) axis.include(value);
        axis.close(rounded, 5);
        std::string text;
        for (const double tick : axis.ticks()) text += eval::detail::number_text(tick) + ' ';
        return text;
    };
    CHECK(ticks({0, 1}, false) == "0 0.2 0.4 0.6 0.8 1 ");
    CHECK(ticks({-3, 17}, false) == "-5 0 5 10 15 20 ");
    CHECK(ticks({1.2, 4.9}, false, false) == "2 3 4 ");
    CHECK(ticks({0, 5e6}, false) == "0 1000k 2000k 3000k 4000k 5000k ");
    CHECK(ticks({3, 3}, false) == "2.6 2.8 3 3.2 3.4 ");  // an axis without range is widened by a tenth to each side
    CHECK(ticks({}, false) == ticks({0, 1}, false));
    CHECK(ticks({0.002, 40}, true) == "0.001 0.01 0.1 1 10 100 ");
    CHECK(ticks({1, 30}, true, false) == "1 2 5 10 20 ");
    CHECK(ticks({1e-9, 1e9}, true).size() > 10);
}

TEST_CASE("A line chart puts points where the axes say") {
    const auto svg = eval::line_chart(
        {.name = "Loss", .x_label = "step", .y_label = "nats", .series = {{"", {{0, 0}, {5, 1}, {10, 2}}}}});
    CHECK(well_formed(svg));
    CHECK(mentions(svg, {"d=\"M70.0 250.0L249.0 145.0L428.0 40.0\"", ">Loss<", ">step<", ">nats<", "1 at 5"}));
    const auto logarithmic =
        eval::line_chart({.series = {{"", {{1, 1}, {10, 0.01}, {100, 0.0001}}}}, .log_x = true, .log_y = true});
    CHECK(mentions(logarithmic, {"d=\"M70.0 40.0L249.0 145.0L428.0 250.0\""}));
}

TEST_CASE("Values that have no place interrupt the line and leave no number that is none") {
    const auto svg = eval::line_chart({.series = {{"a", {{0, 1}, {1, NAN}, {2, 3}, {3, INFINITY}, {4, 1}, {5, 2}}}}});
    CHECK(mentions(svg, {"data-points=\"0,1 1,NaN 2,3 3,NaN 4,1 5,2\"", "d=\"M70.0 268.0M213.2 58.0M356.4 268.0L428.0 163.0\""}));
    CHECK(count(svg, "nan") == 0);
    CHECK(count(svg, "inf") == 0);
    const auto logarithmic =
        eval::line_chart({.series = {{"a", {{0, 1}, {1, -1}, {2, 0}, {3, 1}}}}, .log_x = true, .log_y = true});
    CHECK(count(logarithmic, "nan") == 0);
    CHECK(count(logarithmic, "inf") == 0);
    CHECK(mentions(eval::line_chart({.series = {{"a", {}}}}), {"no values"}));
}

TEST_CASE("A long series is thinned and keeps its extremes, its ends and its gaps") {
    std::vector<std::pair<double, double>> points;
    for (int i = 0; i < 100000; ++i) points.emplace_back(i, std::sin(i * 0.01));
    points[40001].second = 50;
    points[70001].second = -50;
    points[90001].second = NAN;
    const auto thin = eval::detail::thinned(points, 1000);
    CHECK(thin.size() < 1500);
    CHECK(thin.front() == points.front());
    CHECK(thin.back() == points.back());
    CHECK(std::find(thin.begin(), thin.end(), points[40001]) != thin.end());
    CHECK(std::find(thin.begin(), thin.end(), points[70001]) != thin.end());
    CHECK(std::any_of(thin.begin(), thin.end(), [](const auto& point) { return std::isnan(point.second); }));
    CHECK(std::is_sorted(thin.begin(), thin.end(), [](const auto& a, const auto& b) { return a.first < b.first; }));
}
