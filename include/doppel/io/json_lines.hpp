// SPDX-License-Identifier: Apache-2.0
// JSON lines: one object per line, readable while being written and after a crash.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/io/atomic_file.hpp>
#include <doppel/io/detail/file.hpp>

#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace doppel::io {

namespace detail {

/// Returns whether `text` is exactly one JSON value. The parser alone would take a zero byte for the end.
inline bool is_json(std::string_view text) {
    return text.find('\0') == text.npos && nlohmann::ordered_json::accept(text);
}

/// Returns the complete lines of `text` as (number from 1, line), without blank ones. Text after the last newline
/// counts only if it is a complete JSON value.
inline std::vector<std::pair<std::size_t, std::string_view>> json_lines_of(std::string_view text) {
    std::vector<std::pair<std::size_t, std::string_view>> lines;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const auto end = text.find('\n');
        const auto line = text.substr(0, end);
        const bool complete = end != std::string_view::npos || is_json(line);
        if (complete && line.find_first_not_of(" \t\r") != std::string_view::npos) lines.emplace_back(number, line);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return lines;
}

inline nlohmann::ordered_json json_line(const std::filesystem::path& path, std::size_t number, std::string_view line) {
    auto value = nlohmann::ordered_json::parse(line, nullptr, false);
    require(value.is_object() && line.find('\0') == line.npos, path.string(), ": line ", number,
            " is not a JSON object: ", line.substr(0, 60));
    return value;
}

inline std::string read_text(const char* who, const std::filesystem::path& path) {
    auto text = read_file(path);
    if (!text) fail(who, ": cannot read ", path.string(), ": ", std::generic_category().message(errno));
    return *std::move(text);
}

}  // namespace detail

/// Reads the objects of a JSON-lines file. Skips a truncated last line (a run is writing it, or crashed); throws Error
/// with the line number for any other line that is not an object.
inline std::vector<nlohmann::ordered_json> read_json_lines(const std::filesystem::path& path) {
    const auto text = detail::read_text("read_json_lines", path);
    std::vector<nlohmann::ordered_json> values;
    for (const auto& [number, line] : detail::json_lines_of(text))
        values.push_back(detail::json_line(path, number, line));
    return values;
}

/// Appends JSON objects to a file, one per line. Each line is one write, so readers see complete lines only. A file
/// must have one writer. An existing file is continued; a line truncated by a crash is removed. Non-finite numbers
/// become null.
///
/// Throws Error with the path and the reason; a line that does not fit on the disk is removed again.
///
///     io::JsonLines metrics("out/metrics.jsonl");
///     metrics.append({{"step", 10}, {"loss", 4.8}});
class JsonLines {
public:
    explicit JsonLines(std::filesystem::path path) : path_(std::move(path)), file_(path_) {
        if (!file_) cannot("open", errno);
        const auto text = detail::read_text("JsonLines", path_);
        if (text.empty() || text.back() == '\n') return;
        const auto complete = text.rfind('\n') + 1;  // 0 without a newline
        if (detail::is_json(std::string_view(text).substr(complete))) {
            if (const int error = file_.append("\n")) cannot("write", error);
        } else {
            std::error_code problem;
            std::filesystem::resize_file(path_, complete, problem);
            if (problem) cannot("repair", problem.value());
        }
    }

    /// Appends one line. Writes replacement characters for invalid UTF-8.
    void append(const nlohmann::ordered_json& object) {
        require(object.is_object(), "JsonLines: ", path_.string(), ": got a JSON ", object.type_name(),
                ", expected an object");
        using Handler = nlohmann::ordered_json::error_handler_t;
        if (const int error = file_.append(object.dump(-1, ' ', false, Handler::replace) + '\n'))
            cannot("write", error);
    }

    /// Removes the lines whose "step" is greater than `step`, for a run resumed from an older checkpoint; keeps lines
    /// without a step. Returns the number of removed lines. Replaces the file atomically.
    std::int64_t truncate_after(std::int64_t step) {
        const auto text = detail::read_text("JsonLines", path_);
        std::string kept;
        std::int64_t dropped = 0;
        for (const auto& [number, line] : detail::json_lines_of(text)) {
            const auto value = detail::json_line(path_, number, line);
            const auto at = value.find("step");
            if (at != value.end() && at->is_number() && at->get<double>() > static_cast<double>(step))
                ++dropped;
            else
                kept.append(line).push_back('\n');
        }
        if (dropped == 0) return 0;
        write_atomically(path_, kept);
        file_ = detail::AppendFile(path_);
        if (!file_) cannot("open", errno);
        return dropped;
    }

    const std::filesystem::path& path() const { return path_; }

private:
    [[noreturn]] void cannot(const char* what, int error) const {
        fail("JsonLines: cannot ", what, " ", path_.string(), ": ", std::generic_category().message(error));
    }

    std::filesystem::path path_;
    detail::AppendFile file_;
};

}  // namespace doppel::io
