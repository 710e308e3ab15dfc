// SPDX-License-Identifier: Apache-2.0
// Parses and checks the JSON header of a safetensors file.
#pragma once

#include <doppel/core/error.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel::io::detail {

/// The maximum header length of the format.
inline constexpr std::uint64_t longest_header = 100'000'000;

/// A tensor of the header, with its byte range in the data section.
struct TensorEntry {
    std::string name{}, type{};
    std::vector<std::int64_t> shape{};
    std::uint64_t begin = 0, end = 0;
};

struct SafetensorsHeader {
    std::vector<TensorEntry> tensors;  // in the order of their bytes
    std::map<std::string, std::string> metadata;
};

/// Returns the bytes per element of a dtype that both the format and torch support; 0 for any other.
inline std::uint64_t bytes_of_type(std::string_view type) {
    using Type = std::pair<std::string_view, std::uint64_t>;
    constexpr std::array known{Type{"F64", 8}, Type{"F32", 4}, Type{"F16", 2}, Type{"BF16", 2}, Type{"I64", 8},
                               Type{"I32", 4}, Type{"I16", 2}, Type{"I8", 1},  Type{"U8", 1},   Type{"BOOL", 1}};
    const auto found = std::find_if(known.begin(), known.end(), [&](const auto& pair) { return pair.first == type; });
    return found == known.end() ? 0 : found->second;
}

/// Parses JSON; rejects duplicate names and deeper nesting than a header has. `who` begins every message.
inline nlohmann::json parse_header_json(const std::string& who, std::string_view text) {
    const auto zero = text.find('\0');  // for the parser this is the end
    require(zero == text.npos, who, ": the header is not JSON at its byte ", zero + 1);
    std::vector<std::set<std::string>> names;
    const auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
        using Event = nlohmann::json::parse_event_t;
        if (event == Event::object_start || event == Event::array_start) {
            require(depth < 4, who, ": the header nests too deeply, expected name -> {dtype, shape, data_offsets}");
            names.emplace_back();
        } else if (event == Event::object_end || event == Event::array_end) {
            names.pop_back();
        } else if (event == Event::key) {
            const auto& name = parsed.get_ref<const std::string&>();
            require(names.back().insert(name).second, who, ": the header names \"", name, "\" twice");
        }
        return true;
    };
    try {
        return nlohmann::json::parse(text, watch);
    } catch (const nlohmann::json::parse_error& problem) {
        fail(who, ": the header is not JSON at its byte ", problem.byte);
    } catch (const nlohmann::json::exception&) {
        fail(who, ": the header is not valid JSON, expected an object");
    }
}

/// Reads a JSON array of `count` (0: any number of) integers in [0, 2^63).
inline std::vector<std::int64_t> header_numbers(const std::string& who, const nlohmann::json& entry, const char* key,
                                                std::size_t count) {
    const auto found = entry.find(key);
    const auto is_size = [](const nlohmann::json& value) {
        return value.is_number_unsigned() && value.get<std::uint64_t>() <= std::numeric_limits<std::int64_t>::max();
    };
    require(found != entry.end() && found->is_array() && (count == 0 || found->size() == count) &&
                std::all_of(found->begin(), found->end(), is_size),
            who, ": ", key, " must be a list of ", count == 0 ? "sizes" : "two byte positions", ", got ",
            found == entry.end() ? std::string("nothing")
                                 : found->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).substr(0, 80));
    return found->get<std::vector<std::int64_t>>();
}

inline TensorEntry header_entry(const std::string& who, const std::string& name, const nlohmann::json& value) {
    require(value.is_object() && value.size() == 3 && value.contains("dtype") && value["dtype"].is_string(), who,
            ": expected {dtype, shape, data_offsets}");
    TensorEntry entry{.name = name, .type = value["dtype"].get<std::string>()};
    const auto element = bytes_of_type(entry.type);
    require(element > 0, who, ": dtype ", entry.type,
            " is not supported, expected F64, F32, F16, BF16, I64, I32, I16, I8, U8 or BOOL");
    entry.shape = header_numbers(who, value, "shape", 0);
    const auto range = header_numbers(who, value, "data_offsets", 2);
    entry.begin = static_cast<std::uint64_t>(range[0]);
    entry.end = static_cast<std::uint64_t>(range[1]);

    // `extent` counts an empty dimension as one, so strides cannot overflow either.
    constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    std::uint64_t extent = element, bytes = element;
    for (const auto size : entry.shape) {
        const auto step = static_cast<std::uint64_t>(std::max<std::int64_t>(size, 1));
        require(extent <= most / step, who, ": the shape is larger than any memory");
        extent *= step;
        bytes *= static_cast<std::uint64_t>(size);
    }
    require(entry.end >= entry.begin && entry.end - entry.begin == bytes, who, ": dtype and shape need ", bytes,
            " bytes, data_offsets are ", entry.begin, " to ", entry.end);
    return entry;
}

/// Parses the header `text` of a file with `data_bytes` bytes of data. The byte ranges must cover the data without gaps
/// or overlaps.
inline SafetensorsHeader parse_safetensors_header(const std::string& who, std::string_view text,
                                                  std::uint64_t data_bytes) {
    const auto json = parse_header_json(who, text);
    require(json.is_object(), who, ": the header is a JSON ", json.type_name(), ", expected an object");
    SafetensorsHeader header;
    for (const auto& [name, value] : json.items()) {
        if (name == "__metadata__") {
            require(value.is_object(), who, ": __metadata__ is a JSON ", value.type_name(), ", expected an object");
            for (const auto& [key, entry] : value.items()) {
                require(entry.is_string(), who, ": __metadata__ \"", key, "\" is a JSON ", entry.type_name(),
                        ", expected text");
                header.metadata.emplace(key, entry.get<std::string>());
            }
        } else {
            header.tensors.push_back(header_entry(who + ": tensor \"" + name + '"', name, value));
        }
    }
    std::sort(header.tensors.begin(), header.tensors.end(), [](const TensorEntry& a, const TensorEntry& b) {
        return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
    });
    std::uint64_t covered = 0;
    for (const auto& entry : header.tensors) {
        require(entry.begin == covered, who, ": tensor \"", entry.name, "\" begins at data byte ", entry.begin,
                ", expected ", covered, " (no gaps, no overlaps)");
        covered = entry.end;
    }
    require(covered == data_bytes, who, ": the header describes ", covered, " bytes of data, the file has ",
            data_bytes);
    return header;
}

}  // namespace doppel::io::detail
