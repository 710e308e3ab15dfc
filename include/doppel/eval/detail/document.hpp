// SPDX-License-Identifier: Apache-2.0
// A whole page: head, navigation, sections.
#pragma once

#include <doppel/eval/detail/html.hpp>
#include <doppel/eval/detail/page.hpp>
#include <doppel/eval/detail/script.hpp>

#include <cstddef>
#include <ostream>
#include <string>
#include <vector>

namespace doppel::eval::detail {

/// A part of a page with its name in the navigation.
struct Section {
    std::string name{}, html{};
};

inline std::string note_html(const std::string& note) {
    return note.empty() ? "" : "<p class=\"soft\">" + escaped(note) + "</p>";
}

inline std::string heading(const std::string& title, const std::string& note) {
    return "<h2>" + escaped(title) + "</h2>" + note_html(note);
}

/// Writes a page that loads nothing and runs nothing but its own script, which the policy names by its hash.
inline void write_page(std::ostream& out, const std::string& title, const std::string& lead,
                       const std::vector<Section>& sections) {
    out << "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src "
           "'unsafe-inline'; script-src '"
        << page_script_hash << "'\"><title>" << escaped(title) << "</title><style>" << page_style
        << "</style></head><body><main>\n<header><h1>" << escaped(title) << "</h1>\n"
        << lead << "</header>\n";
    if (sections.size() > 2) {
        out << "<nav aria-label=\"Sections\">";
        for (std::size_t i = 0; i < sections.size(); ++i)
            out << "<a href=\"#section-" << i + 1 << "\">" << escaped(sections[i].name) << "</a>";
        out << "</nav>\n";
    }
    for (std::size_t i = 0; i < sections.size(); ++i)
        out << "<section id=\"section-" << i + 1 << "\">" << sections[i].html << "</section>\n";
    out << "</main><script>" << page_script() << "</script></body></html>\n";
}

}  // namespace doppel::eval::detail
