// SPDX-License-Identifier: Apache-2.0
// Bars of shares.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/eval/detail/html.hpp>
#include <doppel/eval/measure.hpp>

#include <string>
#include <vector>

namespace doppel::eval::detail {

inline std::string measure_tag(const Measure& measure) {
    const auto share = [&](double value) {
        require(value >= 0 && value <= 1, "write_report: measure \"", measure.name, "\" is ", value,
                ", expected a share between 0 and 1");
        return fixed(100 * value, 2) + "%";
    };
    auto html = std::string("<div class=\"measure") + (measure.highlight ? " main" : "") +
                "\"><div class=\"top\"><span>" + escaped(measure.name) + "</span><span class=\"value\">" +
                fixed(100 * measure.share, 1) +
                "\u00a0%</span></div><div class=\"track\"><div class=\"fill\" style=\"width:" + share(measure.share) +
                "\"></div>";
    std::string explanation = measure.explanation;
    if (measure.interval) {
        const auto [low, high] = *measure.interval;
        html += "<div class=\"interval\" style=\"left:" + share(low) + ";width:" + fixed(100 * (high - low), 2) +
                "%\"></div>";
        explanation += (explanation.empty() ? "" : " ") + std::string("95\u00a0% confidence: ") + fixed(100 * low, 1) +
                       " to " + fixed(100 * high, 1) + "\u00a0%.";
        share(high);
    }
    return html + "</div><p class=\"soft\">" + escaped(explanation) + "</p></div>\n";
}

inline std::string measures_html(const std::vector<Measure>& measures) {
    std::string html;
    for (const auto& measure : measures) html += measure_tag(measure);
    return html;
}

}  // namespace doppel::eval::detail
