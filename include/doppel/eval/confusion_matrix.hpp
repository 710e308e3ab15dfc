// SPDX-License-Identifier: Apache-2.0
// Confusion matrices in a page.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/eval/detail/html.hpp>
#include <doppel/eval/table.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace doppel::eval {

/// Which classes were taken for which: how many images of each true class got each predicted class.
///
///     eval::ConfusionMatrix{.title = "k-NN", .classes = {"cat", "dog"}, .counts = {8, 2, 1, 9}};
struct ConfusionMatrix {
    std::string title{}, note{};
    std::vector<std::string> classes{};  ///< C names
    std::vector<std::int64_t> counts{};  ///< [C, C] row by row: row the true class, column the predicted one
};

namespace detail {

inline void check_confusion(const ConfusionMatrix& matrix) {
    const auto classes = matrix.classes.size();
    require(matrix.counts.size() == classes * classes, "write_report: confusion matrix \"", matrix.title, "\" of ",
            classes, " classes has ", matrix.counts.size(), " counts, expected ", classes * classes);
    for (const auto count : matrix.counts)
        require(count >= 0, "write_report: confusion matrix \"", matrix.title, "\" has the count ", count,
                ", expected none below 0");
}

inline std::int64_t images_of(const ConfusionMatrix& matrix, std::size_t row) {
    const auto from = matrix.counts.begin() + static_cast<std::ptrdiff_t>(row * matrix.classes.size());
    return std::accumulate(from, from + static_cast<std::ptrdiff_t>(matrix.classes.size()), std::int64_t{0});
}

inline std::string percent(double share) { return fixed(100 * share, 1) + "\u00a0%"; }

/// The accuracy of each class with the most frequent mistake.
inline Table per_class_table(const ConfusionMatrix& matrix) {
    Table table{.title = "Accuracy of each class",
                .columns = {"class", "images", "right", "most often taken for", "share"}};
    const auto classes = matrix.classes.size();
    for (std::size_t r = 0; r < classes; ++r) {
        const auto all = images_of(matrix, r);
        std::size_t most = classes;
        for (std::size_t c = 0; c < classes; ++c)
            if (const auto count = matrix.counts[r * classes + c];
                c != r && count > 0 && (most == classes || count > matrix.counts[r * classes + most]))
                most = c;
        const auto share = [&](std::size_t c) {
            return percent(static_cast<double>(matrix.counts[r * classes + c]) / static_cast<double>(all));
        };
        table.rows.push_back({matrix.classes[r], std::to_string(all), all == 0 ? "\u2013" : share(r),
                              most == classes ? "\u2013" : matrix.classes[most],
                              most == classes ? "\u2013" : share(most)});
    }
    return table;
}

/// The pairs of classes that are taken for each other most often, by count.
inline Table mistakes_table(const ConfusionMatrix& matrix, std::size_t most) {
    std::vector<std::tuple<std::int64_t, std::size_t, std::size_t>> pairs;
    const auto classes = matrix.classes.size();
    for (std::size_t r = 0; r < classes; ++r)
        for (std::size_t c = 0; c < classes; ++c)
            if (r != c && matrix.counts[r * classes + c] > 0) pairs.emplace_back(-matrix.counts[r * classes + c], r, c);
    std::sort(pairs.begin(), pairs.end());
    pairs.resize(std::min(pairs.size(), most));
    Table table{.title = "Most frequent mistakes", .columns = {"true class", "taken for", "images", "of the class"}};
    for (const auto& [count, r, c] : pairs)
        table.rows.push_back({matrix.classes[r], matrix.classes[c], std::to_string(-count),
                              percent(static_cast<double>(-count) / static_cast<double>(images_of(matrix, r)))});
    return table;
}

/// Draws the matrix: the color of a cell tells right from wrong, its strength the share of the row. Up to 100 classes.
inline std::string confusion_tag(const ConfusionMatrix& matrix) {
    const auto classes = matrix.classes.size();
    const bool labels = classes <= 40, numbers = classes <= 12;
    const double cell = classes <= 12 ? 34 : classes <= 20 ? 24 : classes <= 40 ? 15 : 6;
    std::size_t longest = 4;
    for (const auto& name : matrix.classes) longest = std::max(longest, std::min<std::size_t>(name.size(), 16));
    const double text = labels ? 10 + 6.4 * static_cast<double>(longest) : 6, left = 22 + text, top = 24 + text * 0.75;
    const double side = cell * static_cast<double>(classes), width = left + side + (labels ? text * 0.7 : 8),
                 height = top + side + 6;

    std::array<std::array<std::string, 11>, 2> cells;  // wrong and right, by strength
    std::string texts, counts;
    for (std::size_t r = 0; r < classes; ++r) {
        const auto all = static_cast<double>(std::max<std::int64_t>(images_of(matrix, r), 1));
        for (std::size_t c = 0; c < classes; ++c) {
            const auto count = matrix.counts[r * classes + c];
            counts += (counts.empty() ? "" : " ") + std::to_string(count);
            if (count == 0) continue;
            const double share = static_cast<double>(count) / all, x = left + cell * static_cast<double>(c),
                         y = top + cell * static_cast<double>(r);
            const auto level = static_cast<std::size_t>(std::ceil(10 * std::sqrt(share)));
            cells[r == c][std::min<std::size_t>(level, 10)] += "M" + fixed(x + 0.5, 1) + " " + fixed(y + 0.5, 1) + "h" +
                                                               fixed(cell - 1, 0) + "v" + fixed(cell - 1, 0) + "h-" +
                                                               fixed(cell - 1, 0) + "z";
            if (numbers)
                texts += "<text x=\"" + fixed(x + cell / 2, 1) + "\" y=\"" + fixed(y + cell / 2 + 4, 1) +
                         "\" text-anchor=\"middle\" class=\"" + (level > 6 ? "over" : "plain") + "\">" +
                         std::to_string(count) + "</text>";
        }
    }
    auto svg =
        "<svg class=\"confusion\" viewBox=\"0 0 " + fixed(width, 0) + " " + fixed(height, 0) +
        "\" style=\"min-width:" + fixed(std::min(width * 0.8, 720.0), 0) +
        "px;max-width:" + fixed(std::max(width * 1.25, 420.0), 0) +
        "px\" role=\"img\" font-family=\"system-ui,sans-serif\" font-size=\"12\" fill=\"currentColor\" data-grid=\"" +
        fixed(left, 1) + " " + fixed(top, 1) + " " + fixed(cell, 1) + "\" data-counts=\"" + counts +
        "\" data-classes=\"" + escaped(joined_lines(matrix.classes)) + "\"><title>" + escaped(matrix.title) +
        "</title><rect x=\"" + fixed(left, 1) + "\" y=\"" + fixed(top, 1) + "\" width=\"" + fixed(side, 1) +
        "\" height=\"" + fixed(side, 1) + "\" fill=\"none\" stroke=\"currentColor\" stroke-opacity=\"0.25\"/>";
    for (const std::size_t right : {0u, 1u})
        for (std::size_t level = 1; level <= 10; ++level)
            if (!cells[right][level].empty())
                svg += "<path d=\"" + cells[right][level] + "\" style=\"fill:var(--" + (right ? "right" : "wrong") +
                       ")\" fill-opacity=\"" + fixed(0.08 + 0.092 * static_cast<double>(level), 2) + "\"/>";
    svg += texts;
    if (labels)
        for (std::size_t i = 0; i < classes; ++i) {
            const double at = cell * (static_cast<double>(i) + 0.5);
            const auto name = escaped(shortened(matrix.classes[i], 16));
            svg += "<text x=\"" + fixed(left - 6, 1) + "\" y=\"" + fixed(top + at + 4, 1) + "\" text-anchor=\"end\">" +
                   name + "</text><text transform=\"translate(" + fixed(left + at, 1) + " " + fixed(top - 6, 1) +
                   ") rotate(-45)\">" + name + "</text>";
        }
    return svg + "<text transform=\"translate(12 " + fixed(top + side / 2, 1) +
           ") rotate(-90)\" text-anchor=\"middle\" fill-opacity=\"0.75\">true class</text><text x=\"" +
           fixed(left + side / 2, 1) +
           "\" y=\"12\" text-anchor=\"middle\" fill-opacity=\"0.75\">predicted class</text></svg>";
}

/// Returns the matrix with its tables: the drawing up to 100 classes, the most frequent mistakes, the accuracy of each class.
inline std::string confusion_html(const ConfusionMatrix& matrix) {
    check_confusion(matrix);
    const auto classes = matrix.classes.size();
    std::string html;
    if (classes <= 100)
        html += "<div class=\"plot\"><div class=\"scroll\">" + confusion_tag(matrix) + "</div></div>";
    else
        html +=
            "<p class=\"soft\">" + std::to_string(classes) + " classes are too many to draw; the tables have them.</p>";
    if (classes > 12) html += folded("Most frequent mistakes", table_tag(mistakes_table(matrix, 30)));
    return html + folded("Accuracy of each class", table_tag(per_class_table(matrix)));
}

}  // namespace detail

}  // namespace doppel::eval
