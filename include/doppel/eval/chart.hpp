// SPDX-License-Identifier: Apache-2.0
// Line charts as SVG, for the report or a separate file.
#pragma once

#include <doppel/eval/detail/axis.hpp>
#include <doppel/eval/detail/html.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace doppel::eval {

/// A line of a chart.
struct Series {
    std::string name{};                               ///< name in the legend; "" for a single series
    std::vector<std::pair<double, double>> points{};  ///< (x, y) sorted by x; NaN and infinity interrupt the line
    bool reference = false;                           ///< a level to compare with: gray and dashed, without a color
};

/// A line chart.
struct Curve {
    std::string name{};            ///< title
    std::string x_label{};         ///< label of the x axis, with the unit
    std::string y_label{};         ///< label of the y axis, with the unit
    std::vector<Series> series{};  ///< lines, in six colors, which repeat with other dashes
    bool log_x = false;            ///< logarithmic x axis; values ≤ 0 are not shown
    bool log_y = false;            ///< logarithmic y axis
    double y_low = INFINITY;       ///< the y axis includes this value (shares: 0); INFINITY: data only
    double y_high = -INFINITY;     ///< the y axis includes this value (shares: 1); −INFINITY: data only
};

namespace detail {

/// Reduces points to about `most` without changing the look of the line: keeps the lowest and the highest point of each
/// stretch, and all points of stretches with gaps.
inline std::vector<std::pair<double, double>> thinned(const std::vector<std::pair<double, double>>& points,
                                                      std::size_t most) {
    if (points.size() <= most) return points;
    std::vector<std::pair<double, double>> kept{points.front()};
    const std::size_t stretch = (2 * points.size() + most - 1) / most;
    for (std::size_t begin = 1; begin + 1 < points.size(); begin += stretch) {
        const auto from = points.begin() + static_cast<std::ptrdiff_t>(begin);
        const auto to = points.begin() + static_cast<std::ptrdiff_t>(std::min(begin + stretch, points.size() - 1));
        const auto gap =
            std::find_if(from, to, [](const auto& p) { return !std::isfinite(p.first) || !std::isfinite(p.second); });
        if (gap != to) {
            kept.insert(kept.end(), from, to);
            continue;
        }
        auto [low, high] =
            std::minmax_element(from, to, [](const auto& a, const auto& b) { return a.second < b.second; });
        if (high < low) std::swap(low, high);
        kept.push_back(*low);
        if (high != low) kept.push_back(*high);
    }
    kept.push_back(points.back());
    return kept;
}

inline std::string text_tag(double x, double y, const char* anchor, const std::string& text, const char* more = "") {
    return "<text x=\"" + fixed(x, 1) + "\" y=\"" + fixed(y, 1) + "\" text-anchor=\"" + anchor +
           "\" fill=\"currentColor\" " + more + ">" + escaped(text) + "</text>";
}

inline std::string line_tag(double x0, double y0, double x1, double y1, const char* opacity) {
    return "<line x1=\"" + fixed(x0, 1) + "\" y1=\"" + fixed(y0, 1) + "\" x2=\"" + fixed(x1, 1) + "\" y2=\"" +
           fixed(y1, 1) + "\" stroke=\"currentColor\" stroke-opacity=\"" + opacity + "\"/>";
}

/// Returns the color of a series: the page's variable --line-N, else a color that is distinct on light and dark
/// backgrounds and for color-blind readers.
inline std::string series_color(std::size_t series) {
    static constexpr const char* colors[] = {"#2f7ed8", "#e8820c", "#12a37f", "#c2508f", "#8a7bd8", "#8b8f98"};
    return "var(--line-" + std::to_string(series % 6) + "," + colors[series % 6] + ")";
}

/// Returns how a series is drawn: color, and dashes that differ where colors repeat.
inline std::string series_stroke(const Series& series, std::size_t number) {
    if (series.reference)
        return "stroke:var(--soft,#5d6675);stroke-dasharray:" + std::string(number % 2 == 0 ? "6 4" : "2 4");
    static constexpr const char* dashes[] = {"", ";stroke-dasharray:7 4", ";stroke-dasharray:2 4",
                                             ";stroke-dasharray:9 3 2 3"};
    return "stroke:" + series_color(number) + dashes[number / 6 % 4];
}

/// The position of the plot in the drawing, and of points in the plot.
struct Frame {
    Axis x, y;
    double left = 70, right = 428, top = 0, bottom = 0;

    bool shows(const std::pair<double, double>& point) const { return x.shows(point.first) && y.shows(point.second); }
    double column(double value) const { return left + x.place(value) * (right - left); }
    double row(double value) const { return bottom - y.place(value) * (bottom - top); }
};

/// Draws the legend, wrapped to the width; moves `top` below it.
inline std::string legend_tags(const std::vector<Series>& series, double left, double right, double& top) {
    if (std::all_of(series.begin(), series.end(), [](const Series& each) { return each.name.empty(); })) return "";
    std::string svg;
    double x = left;
    top += 18;
    for (std::size_t i = 0; i < series.size(); ++i) {
        const double wide = 36 + 6.8 * static_cast<double>(series[i].name.size());
        if (x > left && x + wide > right) x = left, top += 18;
        svg += "<path d=\"M" + fixed(x, 1) + " " + fixed(top - 8, 1) +
               "h15\" fill=\"none\" stroke-width=\"3\" style=\"" + series_stroke(series[i], i) + "\"/>" +
               text_tag(x + 19, top - 4, "start", series[i].name);
        x += wide;
    }
    return svg;
}

inline std::string axis_tags(const Curve& curve, const Frame& frame) {
    const double middle = (frame.top + frame.bottom) / 2;
    std::string svg;
    for (const double tick : frame.y.ticks())
        svg += line_tag(frame.left, frame.row(tick), frame.right, frame.row(tick), "0.15") +
               text_tag(frame.left - 7, frame.row(tick) + 4, "end", number_text(tick), "fill-opacity=\"0.75\"");
    for (const double tick : frame.x.ticks())
        svg += line_tag(frame.column(tick), frame.bottom, frame.column(tick), frame.bottom + 5, "0.5") +
               text_tag(frame.column(tick), frame.bottom + 18, "middle", number_text(tick), "fill-opacity=\"0.75\"");
    return "<g class=\"ticks\">" + svg + "</g>" + line_tag(frame.left, frame.bottom, frame.right, frame.bottom, "0.5") +
           text_tag((frame.left + frame.right) / 2, frame.bottom + 37, "middle", curve.x_label) +
           "<g transform=\"translate(11 " + fixed(middle, 1) + ") rotate(-90)\">" +
           text_tag(0, 0, "middle", curve.y_label) + "</g>";
}

/// Draws the line of a series, dots if points are few or isolated, and tooltips. `data-points` has the values for the
/// page's script.
inline std::string series_tags(const Series& series, std::size_t number, const Frame& frame) {
    const auto points = thinned(series.points, 800);
    const std::size_t every = (points.size() + 99) / 100;  // at most 100 tooltips
    std::string path, marks, values;
    bool pen = false;
    for (std::size_t i = 0; i < points.size(); ++i) {
        const bool shown = frame.shows(points[i]), next = i + 1 < points.size() && frame.shows(points[i + 1]);
        values += (i == 0 ? "" : " ") + plain_number(points[i].first) + ',' + plain_number(points[i].second);
        if (shown) {
            const auto at = points[i];
            const auto x = fixed(frame.column(at.first), 1), y = fixed(frame.row(at.second), 1);
            path += (pen ? "L" : "M") + x + ' ' + y;
            const auto circle = "<circle cx=\"" + x + "\" cy=\"" + y + '"';
            if (!series.reference && (points.size() <= 30 || (!pen && !next)))
                marks += circle + " r=\"3\" style=\"fill:" + series_color(number) + "\"/>";
            if (i % every == 0 || i + 1 == points.size())
                marks += circle + " r=\"7\" fill=\"transparent\"><title>" +
                         escaped((series.name.empty() ? "" : series.name + ": ") + number_text(at.second) + " at " +
                                 number_text(at.first)) +
                         "</title></circle>";
        }
        pen = shown;
    }
    return std::string("<g class=\"series\"") + (series.reference ? " data-reference=\"\"" : "") + " data-name=\"" +
           escaped(series.name) + "\" data-points=\"" + values + "\"><path d=\"" + path +
           "\" fill=\"none\" stroke-width=\"" + (points.size() > 300 ? "1.2" : "2") +
           "\" stroke-linejoin=\"round\" stroke-linecap=\"round\" style=\"" + series_stroke(series, number) +
           "\"/><g>" + marks + "</g></g>";
}

/// The range of an axis for the page's script: its ends, decimal logarithms if the third number is 1.
inline std::string range_text(const Axis& axis) {
    return plain_number(axis.low()) + " " + plain_number(axis.high()) + (axis.logarithmic() ? " 1" : " 0");
}

}  // namespace detail

/// Returns the chart as one <svg> element: title, legend, axes with round ticks, one line per series, with values as
/// tooltips. Text has the color of the surrounding page. In a page of write_report() a reader can point at the lines and
/// zoom.
///
///     io::write_atomically("loss.svg", eval::line_chart({.name = "Loss", .series = {{"train", points}}}));
inline std::string line_chart(const Curve& curve) {
    using namespace detail;
    Frame frame{.x = Axis(curve.log_x), .y = Axis(curve.log_y), .top = 30};
    bool empty = true;
    for (const double value : {curve.y_low, curve.y_high})
        if (frame.y.shows(value)) frame.y.include(value);
    for (const auto& series : curve.series)
        for (const auto& point : series.points)
            if (frame.shows(point)) frame.x.include(point.first), frame.y.include(point.second), empty = false;
    frame.x.close(false, 6);
    frame.y.close(true, 6);

    const auto legend = legend_tags(curve.series, frame.left, frame.right, frame.top);
    frame.top += 10;
    frame.bottom = frame.top + 210;
    const double wide = frame.right - frame.left, high = frame.bottom - frame.top;
    auto svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 440 " + fixed(frame.bottom + 46, 0) +
               "\" role=\"img\" font-family=\"system-ui,sans-serif\" font-size=\"12.5\" data-frame=\"" +
               fixed(frame.left, 0) + " " + fixed(frame.right, 0) + " " + fixed(frame.top, 0) + " " +
               fixed(frame.bottom, 0) + "\" data-x=\"" + range_text(frame.x) + "\" data-y=\"" + range_text(frame.y) +
               "\" data-label=\"" + escaped(curve.x_label) + "\"><title>" + escaped(curve.name) + "</title>" +
               text_tag(frame.left, 20, "start", curve.name, "font-size=\"15\" font-weight=\"600\"") + legend +
               axis_tags(curve, frame);
    if (empty) svg += text_tag((frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2, "middle", "no values");
    svg += "<svg class=\"inside\" overflow=\"visible\" x=\"" + fixed(frame.left, 0) + "\" y=\"" + fixed(frame.top, 0) +
           "\" width=\"" + fixed(wide, 0) + "\" height=\"" + fixed(high, 0) + "\" viewBox=\"" + fixed(frame.left, 0) +
           " " + fixed(frame.top, 0) + " " + fixed(wide, 0) + " " + fixed(high, 0) + "\">";
    for (std::size_t i = 0; i < curve.series.size(); ++i) svg += series_tags(curve.series[i], i, frame);
    return svg + "</svg></svg>";
}

}  // namespace doppel::eval
