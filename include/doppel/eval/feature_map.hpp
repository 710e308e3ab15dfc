// SPDX-License-Identifier: Apache-2.0
// Maps of features in a page: a dot for each image, and the image under the pointer.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/eval/chart.hpp>
#include <doppel/eval/detail/html.hpp>
#include <doppel/eval/detail/sprite.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace doppel::eval {

/// Images as dots in two dimensions (PCA, t-SNE). Up to about 1,500 points; their thumbnails lie in one image of the page.
struct FeatureMap {
    struct Point {
        double x = 0, y = 0;      ///< any unit, the same for both
        std::int64_t label = -1;  ///< index into `classes`; -1: no label
        Image thumbnail{};        ///< of any size, or empty
        std::string caption{};    ///< file name, class, …
    };
    std::string title{}, note{};
    std::vector<std::string> classes{};
    std::vector<Point> points{};
};

namespace detail {

/// How the dots of a class look: six colors, each round or square, each full or with a hole.
inline std::string dot_style(std::int64_t label) {
    return label < 0 ? "stroke:var(--other)" : "stroke:" + series_color(static_cast<std::size_t>(label));
}
inline const char* dot_shape(std::int64_t label) { return label / 6 % 2 == 1 ? "square" : "round"; }
inline bool dot_has_hole(std::int64_t label) { return label < 0 || label / 12 % 2 == 1; }

/// Draws dots of a class: a path of lines without length, whose ends are the dots.
inline std::string dots_tag(const std::string& path, std::int64_t label, double size) {
    const auto dots = [&](const std::string& style, double width) {
        return "<path d=\"" + path + "\" fill=\"none\" vector-effect=\"non-scaling-stroke\" stroke-linecap=\"" +
               dot_shape(label) + "\" stroke-width=\"" + fixed(width, 1) + "\" style=\"" + style + "\"/>";
    };
    return dots(dot_style(label), size) + (dot_has_hole(label) ? dots("stroke:var(--card)", size / 2.5) : "");
}

/// Returns the drawing of a map, with what the page's script needs to know of each point.
inline std::string map_tag(const FeatureMap& map, std::size_t sprite) {
    constexpr double width = 640, height = 480, margin = 14;
    constexpr double infinity = std::numeric_limits<double>::infinity();
    double left = infinity, right = -infinity, top = -infinity, bottom = infinity;
    for (std::size_t i = 0; i < map.points.size(); ++i) {
        const auto& point = map.points[i];
        require(std::isfinite(point.x) && std::isfinite(point.y), "write_report: point ", i, " of map \"", map.title,
                "\" is at (", point.x, ", ", point.y, "), expected finite numbers");
        require(point.label >= -1 && point.label < static_cast<std::int64_t>(map.classes.size()),
                "write_report: point ", i, " of map \"", map.title, "\" has label ", point.label,
                ", expected -1 or an index into ", map.classes.size(), " classes");
        left = std::min(left, point.x), right = std::max(right, point.x);
        bottom = std::min(bottom, point.y), top = std::max(top, point.y);
    }
    const double wide = std::max(right - left, 1e-300), high = std::max(top - bottom, 1e-300);
    const double scale = std::min((width - 2 * margin) / wide, (height - 2 * margin) / high);
    const double middle_x = left / 2 + right / 2, middle_y = bottom / 2 + top / 2;

    std::vector<std::string> paths(map.classes.size() + 1);  // unlabeled first
    std::string places;
    std::vector<std::string> captions;
    for (const auto& point : map.points) {
        const auto x = fixed(width / 2 + (point.x - middle_x) * scale, 1),
                   y = fixed(height / 2 - (point.y - middle_y) * scale, 1);
        paths[static_cast<std::size_t>(point.label + 1)] += "M" + x + " " + y + "h0";
        places += (places.empty() ? "" : " ") + x + "," + y + "," + std::to_string(point.label);
        captions.push_back(point.caption);
    }
    auto svg = "<svg class=\"dots\" viewBox=\"0 0 640 480\" role=\"img\" aria-label=\"" + escaped(map.title) +
               "\" data-map=\"" + places + "\" data-captions=\"" + escaped(joined_lines(captions)) +
               "\" data-classes=\"" + escaped(joined_lines(map.classes)) + "\" data-sprite=\"" +
               std::to_string(sprite) + "\">";
    for (std::size_t i = 0; i < paths.size(); ++i)
        if (!paths[i].empty())
            svg += "<g data-class=\"" + std::to_string(static_cast<std::int64_t>(i) - 1) + "\">" +
                   dots_tag(paths[i], static_cast<std::int64_t>(i) - 1, map.points.size() > 500 ? 6 : 8) + "</g>";
    return svg + "</svg>";
}

/// The classes of a map as buttons: a press shows one alone.
inline std::string map_legend(const FeatureMap& map) {
    std::vector<bool> used(map.classes.size() + 1);
    for (const auto& point : map.points) used[static_cast<std::size_t>(point.label + 1)] = true;
    const auto count = std::count(used.begin(), used.end(), true);
    if (map.classes.empty() || count > 60) return "";
    std::string html = "<div class=\"legend\">";
    for (std::size_t i = 0; i < used.size(); ++i) {
        if (!used[i]) continue;
        const auto label = static_cast<std::int64_t>(i) - 1;
        html += "<button type=\"button\" class=\"key\" aria-pressed=\"false\" data-class=\"" + std::to_string(label) +
                "\"><svg viewBox=\"0 0 14 14\" width=\"14\" height=\"14\" aria-hidden=\"true\">" +
                dots_tag("M7 7h0", label, 9) + "</svg> " + escaped(label < 0 ? "no label" : map.classes[i - 1]) +
                "</button>";
    }
    return html + "</div>";
}

/// Returns all maps, which a reader can switch between, and the images of their points.
inline std::string maps_html(const std::vector<FeatureMap>& maps) {
    std::vector<Sprite> sprites;
    std::string tabs, body, images;
    for (std::size_t m = 0; m < maps.size(); ++m) {
        std::vector<const Image*> thumbnails;
        for (const auto& point : maps[m].points) thumbnails.push_back(&point.thumbnail);
        auto sprite = sprite_of(thumbnails);
        const auto same =
            std::find_if(sprites.begin(), sprites.end(), [&](const Sprite& old) { return old.sheet == sprite.sheet; });
        const auto number = static_cast<std::size_t>(same - sprites.begin());
        if (same == sprites.end()) {
            if (sprite.side > 0)
                images += "<img class=\"sprite\" id=\"sprite-" + std::to_string(number) + "\" data-side=\"" +
                          std::to_string(sprite.side) + "\" data-columns=\"" + std::to_string(sprite.columns) +
                          "\" alt=\"\" src=\"" + data_uri(sprite.sheet, 78) + "\">\n";
            sprites.push_back(std::move(sprite));
        }
        tabs += "<button type=\"button\" class=\"tab\" aria-pressed=\"" + std::string(m == 0 ? "true" : "false") +
                "\">" + escaped(maps[m].title) + "</button>";
        body += "<div class=\"map\"><h3>" + escaped(maps[m].title) + "</h3>" +
                (maps[m].note.empty() ? "" : "<p class=\"soft\">" + escaped(maps[m].note) + "</p>") +
                map_legend(maps[m]) + "<div class=\"plot\">" + map_tag(maps[m], number) + "</div></div>\n";
    }
    return (maps.size() > 1 ? "<div class=\"tabs\">" + tabs + "</div>\n" : "") + body + images;
}

}  // namespace detail

}  // namespace doppel::eval
