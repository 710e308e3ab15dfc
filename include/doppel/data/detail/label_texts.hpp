// SPDX-License-Identifier: Apache-2.0
// Classes from labels as texts.
#pragma once

#include <doppel/data/dataset.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace doppel::data::detail {

/// Returns a text as a whole number of at most 15 digits; nothing if it is none.
inline std::optional<std::int64_t> whole_number(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool valid = problem == std::errc{} && end == text.data() + text.size() && text.size() <= 15;
    return valid ? std::optional(value) : std::nullopt;
}

/// The different texts of labels. If all of them are whole numbers, the classes are these in numerical order, and
/// negative ones mean unlabeled; else the texts, sorted by their bytes.
class LabelTexts {
public:
    /// Returns the text's number in order of appearance; `unlabeled` for an empty text.
    std::int64_t add(std::string_view text) {
        if (text.empty()) return unlabeled;
        const auto found = known_.find(text);
        if (found != known_.end()) return found->second;
        return known_.emplace(std::string(text), static_cast<std::int64_t>(known_.size())).first->second;
    }

    struct Classes {
        std::vector<std::string> names{};
        std::vector<std::int64_t> label_of{};  // by the number of add()
        std::int64_t label(std::int64_t number) const {
            return number == unlabeled ? unlabeled : label_of.at(static_cast<std::size_t>(number));
        }
    };

    Classes classes() const {
        Classes result;
        result.label_of.assign(known_.size(), unlabeled);
        const bool numeric = std::all_of(known_.begin(), known_.end(), [](const auto& known) { return whole_number(known.first); });
        std::map<std::int64_t, std::int64_t> labels;  // by number
        for (const auto& [text, number] : known_)
            if (!numeric) {
                result.label_of[static_cast<std::size_t>(number)] = static_cast<std::int64_t>(result.names.size());
                result.names.push_back(text);
            } else if (const auto value = whole_number(text); *value >= 0) {
                labels[*value] = 0;
            }
        for (auto& [value, label] : labels) {
            label = static_cast<std::int64_t>(result.names.size());
            result.names.push_back(std::to_string(value));
        }
        for (const auto& [text, number] : known_)
            if (numeric && *whole_number(text) >= 0) result.label_of[static_cast<std::size_t>(number)] = labels.at(*whole_number(text));
        return result;
    }

private:
    std::map<std::string, std::int64_t, std::less<>> known_;
};

}  // namespace doppel::data::detail
