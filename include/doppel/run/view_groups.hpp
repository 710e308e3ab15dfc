// SPDX-License-Identifier: Apache-2.0
// The views of a run by pipeline, for people.
#pragma once

#include <doppel/views/views.hpp>

#include <fmt/format.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace doppel::run {

/// What a view is called, alone or with equal ones after it: "View 1", "Global views 1 and 2", "Local views 3 to 10".
inline std::string view_title(std::size_t first, std::size_t last, std::size_t globals, std::size_t views) {
    const std::string kind = globals == views ? "" : first < globals ? "Global " : "Local ";
    const std::string word = (kind.empty() ? "View" : kind + "view") + std::string(last > first ? "s" : "");
    return last > first ? fmt::format("{} {} {} {}", word, first + 1, last == first + 1 ? "and" : "to", last + 1)
                        : fmt::format("{} {}", word, first + 1);
}

/// The views of a run by pipeline: the first and the last view of each run of equal ones.
inline std::vector<std::pair<std::size_t, std::size_t>> view_groups(const views::Views& views) {
    std::vector<std::pair<std::size_t, std::size_t>> groups;
    for (std::size_t v = 0; v < views.pipelines.size(); ++v)
        if (!groups.empty() && v != static_cast<std::size_t>(views.globals) &&
            views.pipelines[v].describe() == views.pipelines[groups.back().first].describe())
            groups.back().second = v;
        else
            groups.emplace_back(v, v);
    return groups;
}

}  // namespace doppel::run
