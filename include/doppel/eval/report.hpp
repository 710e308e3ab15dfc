// SPDX-License-Identifier: Apache-2.0
// A self-contained HTML report of a training run.
#pragma once

#include <doppel/eval/chart.hpp>
#include <doppel/eval/detail/html.hpp>
#include <doppel/eval/detail/page.hpp>
#include <doppel/eval/detail/picture.hpp>
#include <doppel/image/image.hpp>
#include <doppel/io/atomic_file.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace doppel::eval {

/// A share between 0 and 1, shown as a bar with an explanation.
struct Measure {
    std::string name{};
    double share = 0;           ///< 0 to 1
    std::string explanation{};  ///< one sentence
    bool highlight = false;     ///< emphasize this measure
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
    std::string summary{};                                     ///< one or two sentences under the title
    std::vector<Measure> measures{};                           ///< the main results
    std::vector<std::pair<std::string, std::string>> facts{};  ///< the run: name, value
    std::vector<Curve> curves{};
    std::vector<ContactSheet> sheets{};
    std::vector<NeighborSheet> neighbors{};
    std::vector<Figure> figures{};
};

/// The accuracies that knn_headline() compares, each from 0 to 1.
struct KnnScores {
    double trained = 0;        ///< the trained encoder
    double untrained = 0;      ///< the same encoder as initialized
    double pixels = 0;         ///< the normalized images themselves
    std::int64_t k = 20;       ///< neighbors that vote
    std::int64_t classes = 0;  ///< number of classes; 0: no bar for guessing
};

/// Returns the k-NN headline: trained encoder, raw pixels, untrained encoder and, with `classes`, guessing.
inline std::vector<Measure> knn_headline(const KnnScores& scores) {
    const auto k = std::to_string(scores.k);
    std::vector<Measure> measures{
        {.name = "Trained encoder",
         .share = scores.trained,
         .explanation = "k-NN: the share of validation images whose " + k +
                        " nearest training images vote for the right class; "
                        "distances are between features of the trained encoder.",
         .highlight = true},
        {.name = "Raw pixels",
         .share = scores.pixels,
         .explanation =
             "The same vote with distances between pixels: a baseline without learning."},
        {.name = "Untrained encoder",
         .share = scores.untrained,
         .explanation =
             "The same vote with the network before training: the contribution of the architecture alone."}};
    if (scores.classes > 0)
        measures.push_back({.name = "Guessing", .share = 1.0 / static_cast<double>(scores.classes),
                            .explanation = "One of " + std::to_string(scores.classes) + " classes, picked at random."});
    return measures;
}

namespace detail {

inline std::string figure_tag(const Image& image, const std::string& caption, const char* classes,
                              const std::string& after = "") {
    return std::string("<figure class=\"") + classes + "\">" + image_tag(image, caption) + "<figcaption>" +
           escaped(caption) + after + "</figcaption></figure>";
}

inline std::string heading(const std::string& title, const std::string& note) {
    return "<h2>" + escaped(title) + "</h2>" + (note.empty() ? "" : "<p class=\"soft\">" + escaped(note) + "</p>");
}

inline void write_measure(std::ostream& out, const Measure& measure) {
    require(measure.share >= 0 && measure.share <= 1, "write_report: measure \"", measure.name, "\" is ", measure.share,
            ", expected a share between 0 and 1");
    const auto percent = fixed(100 * measure.share, 1) + "\u00a0%";
    out << "<div class=\"measure" << (measure.highlight ? " main" : "") << "\"><div class=\"top\"><span>"
        << escaped(measure.name) << "</span><span class=\"value\">" << percent
        << "</span></div><div class=\"track\"><div class=\"fill\" style=\"width:" << fixed(100 * measure.share, 2)
        << "%\"></div></div><p class=\"soft\">" << escaped(measure.explanation) << "</p></div>\n";
}

inline void write_sheet(std::ostream& out, const ContactSheet& sheet) {
    out << "<section>" << heading(sheet.title, sheet.note) << "<div class=\"scroll\">\n";
    for (const auto& row : sheet.rows) {
        out << "<div class=\"row\">" << figure_tag(row.source.image, row.source.caption, "first");
        for (const auto& view : row.views) out << figure_tag(view.image, view.caption, "");
        out << "</div>\n";
    }
    out << "</div></section>\n";
}

inline void write_neighbors(std::ostream& out, const NeighborSheet& neighbors) {
    out << "<section>" << heading(neighbors.title, neighbors.note) << "<div class=\"scroll\">\n";
    for (const auto& row : neighbors.rows) {
        out << "<div class=\"row\">" << figure_tag(row.query.image, row.query.caption, "first");
        for (const auto& each : row.nearest) {
            // The mark repeats the color of the frame for color-blind readers.
            const auto mark = !each.right   ? ""
                              : *each.right ? " <span class=\"mark\" title=\"right class\">\u2713</span>"
                                            : " <span class=\"mark\" title=\"wrong class\">\u2717</span>";
            out << figure_tag(each.image, each.label, !each.right ? "" : *each.right ? "right" : "wrong",
                              mark + std::string("<br><span class=\"soft\">") + fixed(each.similarity, 3) + "</span>");
        }
        out << "</div>\n";
    }
    out << "</div></section>\n";
}

}  // namespace detail

/// Writes `report` as one HTML file, atomically. No scripts and no external resources: images are PNG data URIs (those
/// above 224 pixels are shrunk, so a few hundred images take a few MB), charts inline SVG. All text is escaped.
///
/// Throws Error with the path and the reason, and for a measure outside 0 to 1 or an image whose pixels do not match
/// its size.
///
///     eval::write_report("out/report.html", {.title = "SimCLR", .measures = eval::knn_headline({.trained = 0.71})});
inline void write_report(const std::filesystem::path& path, const Report& report) {
    io::write_atomically(path, [&](std::ostream& out) {
        using namespace detail;
        out << "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
               "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
               "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src "
               "'unsafe-inline'\">"
               "<title>"
            << escaped(report.title) << "</title><style>" << page_style << "</style></head><body><main>\n<h1>"
            << escaped(report.title) << "</h1>\n";
        if (!report.summary.empty()) out << "<p class=\"lead\">" << escaped(report.summary) << "</p>\n";
        if (!report.measures.empty()) {
            out << "<section><h2>What was learned</h2>\n";
            for (const auto& measure : report.measures) write_measure(out, measure);
            out << "</section>\n";
        }
        if (!report.facts.empty()) {
            out << "<section><h2>What was run</h2><dl>\n";
            for (const auto& [name, value] : report.facts)
                out << "<div><dt>" << escaped(name) << "</dt><dd>" << escaped(value) << "</dd></div>\n";
            out << "</dl></section>\n";
        }
        if (!report.curves.empty()) {
            out << "<section><h2>How it went</h2><div class=\"charts\">\n";
            for (const auto& curve : report.curves) out << line_chart(curve) << '\n';
            out << "</div></section>\n";
        }
        for (const auto& sheet : report.sheets) write_sheet(out, sheet);
        for (const auto& neighbors : report.neighbors) write_neighbors(out, neighbors);
        if (!report.figures.empty()) {
            out << "<section><h2>Figures</h2><table><tr><th>name</th><th>value</th><th>what it means</th></tr>\n";
            for (const auto& figure : report.figures)
                out << "<tr><td>" << escaped(figure.name) << "</td><td>" << escaped(figure.value)
                    << "</td><td class=\"soft\">" << escaped(figure.explanation) << "</td></tr>\n";
            out << "</table></section>\n";
        }
        out << "</main></body></html>\n";
    });
}

}  // namespace doppel::eval
