// SPDX-License-Identifier: Apache-2.0
// A self-contained HTML report of a training run.
#pragma once

#include <doppel/eval/chart.hpp>
#include <doppel/eval/confusion_matrix.hpp>
#include <doppel/eval/detail/document.hpp>
#include <doppel/eval/detail/html.hpp>
#include <doppel/eval/detail/measure.hpp>
#include <doppel/eval/detail/picture.hpp>
#include <doppel/eval/feature_map.hpp>
#include <doppel/eval/measure.hpp>
#include <doppel/eval/table.hpp>
#include <doppel/image/image.hpp>
#include <doppel/io/atomic_file.hpp>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace doppel::eval {

/// What a reader may think of a result.
enum class Tone { good, unsure, bad };

/// A sentence that says what was reached. An empty one is omitted.
struct Verdict {
    std::string sentence{};
    Tone tone = Tone::unsure;
    std::string advice{};  ///< what to do next; may be empty
};

/// Facts under a title, shown after a click on it.
struct FactGroup {
    std::string title{};
    std::vector<std::pair<std::string, std::string>> facts{};  ///< name, value
};

/// A row of the table of figures at the end.
struct Figure {
    std::string name{}, value{}, explanation{};
};

/// An image with a caption.
struct Picture {
    Image image{};
    std::string caption{};
};

/// Rows of images: a source image and its views.
struct ContactSheet {
    struct Row {
        Picture source{};
        std::vector<Picture> views{};
    };
    std::string title{}, note{};
    std::vector<Row> rows{};
};

/// Rows of query images, each with its nearest neighbors in feature space.
struct NeighborSheet {
    struct Neighbor {
        Image image{};
        std::string label{};
        double similarity = 0;        ///< cosine
        std::optional<bool> right{};  ///< whether the class is that of the query; empty: no labels, no colored frame
    };
    struct Row {
        Picture query{};
        std::vector<Neighbor> nearest{};
    };
    std::string title{}, note{};
    std::vector<Row> rows{};
};

/// The contents of a report; empty sections are omitted.
struct Report {
    std::string title{};
    std::string summary{};            ///< one or two sentences under the title
    std::vector<std::string> tags{};  ///< a few words each: "self-supervised", "20 epochs"
    Verdict verdict{};
    std::vector<Measure> measures{};                           ///< the main results
    std::vector<std::pair<std::string, std::string>> facts{};  ///< the run: name, value
    std::vector<FactGroup> details{};                          ///< more of the run, folded: views, environment, …
    std::string command{};                                     ///< what repeats the run in a shell
    std::vector<Curve> curves{};
    std::vector<Curve> more_curves{};  ///< folded
    std::vector<ContactSheet> sheets{};
    std::vector<NeighborSheet> neighbors{};
    std::vector<FeatureMap> maps{};  ///< of the same images or of others; one is shown at a time
    std::vector<Curve> spectra{};
    std::vector<ConfusionMatrix> confusion{};
    std::vector<Table> tables{};  ///< data summary, …
    std::vector<Figure> figures{};
};

namespace detail {

inline std::string figure_tag(const Image& image, const std::string& caption, const char* classes,
                              const std::string& after = "") {
    return std::string("<figure class=\"") + classes + "\">" + image_tag(image, caption) + "<figcaption>" +
           escaped(caption) + after + "</figcaption></figure>";
}

inline std::string sheet_html(const ContactSheet& sheet) {
    auto html = heading(sheet.title, sheet.note) + "<div class=\"scroll\" tabindex=\"0\">\n";
    for (const auto& row : sheet.rows) {
        html += "<div class=\"row\">" + figure_tag(row.source.image, row.source.caption, "first");
        for (const auto& view : row.views) html += figure_tag(view.image, view.caption, "");
        html += "</div>\n";
    }
    return html + "</div>";
}

inline std::string neighbors_html(const NeighborSheet& neighbors) {
    auto html = heading(neighbors.title, neighbors.note) + "<div class=\"scroll\" tabindex=\"0\">\n";
    for (const auto& row : neighbors.rows) {
        html += "<div class=\"row\">" + figure_tag(row.query.image, row.query.caption, "first");
        for (const auto& each : row.nearest) {
            // The mark repeats the color of the frame for color-blind readers.
            const auto mark = !each.right   ? ""
                              : *each.right ? " <span class=\"mark\" title=\"right class\">\u2713</span>"
                                            : " <span class=\"mark\" title=\"wrong class\">\u2717</span>";
            html += figure_tag(each.image, each.label,
                               !each.right   ? ""
                               : *each.right ? "right"
                                             : "wrong",
                               mark + std::string("<br><span class=\"soft\">") + fixed(each.similarity, 3) + "</span>");
        }
        html += "</div>\n";
    }
    return html + "</div>";
}

inline std::string charts_html(const std::vector<Curve>& curves) {
    std::string html = "<div class=\"charts\">\n";
    for (const auto& curve : curves) html += "<div class=\"plot\">" + line_chart(curve) + "</div>\n";
    return html + "</div>";
}

inline std::string facts_html(const std::vector<std::pair<std::string, std::string>>& facts, const char* style) {
    std::string html = std::string("<dl class=\"") + style + "\">\n";
    for (const auto& [name, value] : facts)
        html += "<div><dt>" + escaped(name) + "</dt><dd>" + escaped(value) + "</dd></div>\n";
    return html + "</dl>";
}

inline std::string lead_html(const Report& report) {
    std::string html;
    if (!report.tags.empty()) {
        html += "<p class=\"tags\">";
        for (const auto& tag : report.tags) html += "<span>" + escaped(tag) + "</span> ";
        html += "</p>\n";
    }
    if (!report.summary.empty()) html += "<p class=\"lead\">" + escaped(report.summary) + "</p>\n";
    if (const auto& verdict = report.verdict; !verdict.sentence.empty()) {
        static constexpr const char* styles[] = {"good", "unsure", "bad"};
        static constexpr const char* signs[] = {"\u2713", "?", "!"};
        const auto tone = static_cast<std::size_t>(verdict.tone);
        html +=
            std::string("<div class=\"verdict ") + styles[tone] + "\"><span class=\"sign\" role=\"img\" aria-label=\"" +
            styles[tone] + "\">" + signs[tone] + "</span><div><p>" + escaped(verdict.sentence) + "</p>" +
            (verdict.advice.empty() ? "" : "<p class=\"soft\">" + escaped(verdict.advice) + "</p>") + "</div></div>\n";
    }
    return html;
}

inline std::string command_html(const std::string& command) {
    return "<pre class=\"command\"><code>" + escaped(command) + "</code></pre>\n";
}

inline std::string run_html(const Report& report) {
    auto html = heading("What was run", "");
    if (!report.facts.empty()) html += facts_html(report.facts, "");
    const auto is_long = [](const auto& fact) { return fact.second.size() > 60; };
    for (const auto& group : report.details) {
        const bool wide = std::any_of(group.facts.begin(), group.facts.end(), is_long);
        html += folded(group.title, facts_html(group.facts, wide ? "wide" : ""));
    }
    if (!report.command.empty()) html += "<h3>To repeat it</h3>" + command_html(report.command);
    return html;
}

inline std::string figures_html(const std::vector<Figure>& figures) {
    std::string html = heading("Figures", "") +
                       "<table class=\"figures\"><tr><th>name</th><th>value</th><th>what it means</th></tr>\n";
    for (const auto& figure : figures)
        html += "<tr><td>" + escaped(figure.name) + "</td><td>" + escaped(figure.value) + "</td><td class=\"soft\">" +
                escaped(figure.explanation) + "</td></tr>\n";
    return html + "</table>";
}

inline std::vector<Section> sections_of(const Report& report) {
    std::vector<Section> sections;
    if (!report.measures.empty())
        sections.push_back({"Results", heading("What was learned", "") + measures_html(report.measures)});
    if (!report.facts.empty() || !report.details.empty() || !report.command.empty())
        sections.push_back({"Run", run_html(report)});
    if (!report.curves.empty() || !report.more_curves.empty())
        sections.push_back(
            {"Curves", heading("How it went", "") + (report.curves.empty() ? "" : charts_html(report.curves)) +
                           (report.more_curves.empty() ? "" : folded("More curves", charts_html(report.more_curves)))});
    for (const auto& sheet : report.sheets) sections.push_back({sheet.title, sheet_html(sheet)});
    for (const auto& neighbors : report.neighbors) sections.push_back({neighbors.title, neighbors_html(neighbors)});
    if (!report.maps.empty())
        sections.push_back({"Map", heading("Map of the features", "A dot is an image; near dots have features alike.") +
                                       maps_html(report.maps)});
    if (!report.spectra.empty())
        sections.push_back({"Spectrum", heading("Spectrum of the features", "") + charts_html(report.spectra)});
    for (const auto& matrix : report.confusion)
        sections.push_back({"Confusion: " + matrix.title,
                            heading("Confusion: " + matrix.title, matrix.note) + confusion_html(matrix)});
    for (const auto& table : report.tables)
        sections.push_back({table.title, table.folded ? folded(table.title, note_html(table.note) + table_tag(table))
                                                      : heading(table.title, table.note) + table_tag(table)});
    if (!report.figures.empty()) sections.push_back({"Figures", figures_html(report.figures)});
    return sections;
}

}  // namespace detail

/// Writes `report` as one HTML file, atomically. It loads nothing when it is opened: images are data URIs (those above 160
/// pixels are shrunk), charts inline SVG, and a script of its own lets a reader point at lines and dots, zoom, and sort
/// tables; without it everything but the images of maps is there. All text is escaped.
///
/// Throws Error with the path and the reason, and for a measure outside 0 to 1, an image whose pixels do not match its
/// size, a point of a map that is not finite, and counts or rows of a number that does not fit.
///
///     eval::write_report("out/report.html", {.title = "SimCLR", .measures = eval::knn_headline({.trained = 0.71})});
inline void write_report(const std::filesystem::path& path, const Report& report) {
    const auto lead = detail::lead_html(report);
    const auto sections = detail::sections_of(report);
    io::write_atomically(path, [&](std::ostream& out) { detail::write_page(out, report.title, lead, sections); });
}

}  // namespace doppel::eval
