// SPDX-License-Identifier: Apache-2.0
// Records of CSV and TSV files.
#pragma once

#include <doppel/core/error.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel::data::detail {

inline std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\r");
    return first == text.npos ? std::string_view{} : text.substr(first, text.find_last_not_of(" \t\r") + 1 - first);
}

/// Splits a text into records of fields, as RFC 4180 says: fields in quotes may hold separators, line breaks and "" for a
/// quote. Fields without quotes are trimmed; blank lines are skipped; lines may end in \r\n.
class Delimited {
public:
    /// `name` is for messages.
    Delimited(std::string_view text, char separator, std::string name) : rest_(text), separator_(separator), name_(std::move(name)) {}

    /// Returns the next record, nothing after the last. Throws Error with the line for a quote that is not closed.
    std::optional<std::vector<std::string>> next() {
        while (!rest_.empty()) {
            line_ = next_line_;
            std::vector<std::string> fields;
            for (bool more = true; more;) {
                fields.push_back(field());
                more = !rest_.empty() && rest_.front() == separator_;
                if (!rest_.empty()) rest_.remove_prefix(1);
                if (!more) ++next_line_;
            }
            if (fields.size() > 1 || !fields.front().empty()) return fields;
        }
        return std::nullopt;
    }
    /// The line on which the last record begins, from 1.
    std::size_t line() const { return line_; }

private:
    /// Reads up to a separator or the end of a line.
    std::string field() {
        const auto begin = rest_.find_first_not_of(separator_ == '\t' ? " " : " \t");
        if (begin == rest_.npos || rest_[begin] != '"') {
            const char ends[] = {separator_, '\n'};
            const auto end = std::min(rest_.find_first_of(std::string_view(ends, 2)), rest_.size());
            const auto text = trimmed(rest_.substr(0, end));
            rest_.remove_prefix(end);
            return std::string(text);
        }
        rest_.remove_prefix(begin + 1);
        std::string text;
        for (std::size_t i = 0; i < rest_.size(); ++i) {
            if (rest_[i] != '"') {
                if (rest_[i] == '\n') ++next_line_;
                text += rest_[i];
            } else if (i + 1 < rest_.size() && rest_[i + 1] == '"') {
                text += rest_[i++];
            } else {
                const auto end = rest_.find_first_not_of(separator_ == '\t' ? " \r" : " \t\r", i + 1);
                require(end == rest_.npos || rest_[end] == separator_ || rest_[end] == '\n', name_, ":", line_,
                        ": text behind a quoted field, expected a separator or the end of the line");
                rest_.remove_prefix(std::min(end, rest_.size()));
                return text;
            }
        }
        fail(name_, ":", line_, ": a quote is not closed");
    }

    std::string_view rest_;
    char separator_;
    std::string name_;
    std::size_t line_ = 0, next_line_ = 1;
};

}  // namespace doppel::data::detail
