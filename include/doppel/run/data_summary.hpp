// SPDX-License-Identifier: Apache-2.0
// What a run's images are, as a table: classes and their sizes.
#pragma once

#include <doppel/data/dataset.hpp>
#include <doppel/eval/table.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace doppel::run {

/// Returns how many images each class has in each part, the number of parts as given: a row for each class of `classes`, and
/// one for images without a label where there are any. Folded for more than 12 rows. Empty (no rows) without classes.
///
///     report.tables.push_back(run::class_table({{"training", photos.train}, {"validation", photos.validation}}, photos.train.classes()));
inline eval::Table class_table(const std::vector<std::pair<std::string, data::Dataset>>& parts,
                               const std::vector<std::string>& classes) {
    eval::Table table{.title = "Images of each class", .columns = {"class"}};
    if (classes.empty()) return table;
    std::vector<std::vector<std::int64_t>> counts(classes.size() + 1, std::vector<std::int64_t>(parts.size()));
    bool without = false;
    for (std::size_t p = 0; p < parts.size(); ++p) {
        const auto& images = parts[p].second;
        table.columns.push_back(parts[p].first);
        for (std::int64_t i = 0; i < images.size(); ++i) {
            const auto label = images.label(i);
            const bool known = label >= 0 && label < static_cast<std::int64_t>(classes.size());
            without |= !known;
            ++counts[known ? static_cast<std::size_t>(label) : classes.size()][p];
        }
    }
    for (std::size_t c = 0; c < classes.size() + (without ? 1 : 0); ++c) {
        table.rows.push_back({c < classes.size() ? classes[c] : "no label"});
        for (const auto count : counts[c]) table.rows.back().push_back(std::to_string(count));
    }
    table.folded = table.rows.size() > 12;
    return table;
}

}  // namespace doppel::run
