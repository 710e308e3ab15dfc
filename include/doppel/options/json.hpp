// SPDX-License-Identifier: Apache-2.0
// Options as JSON and as a Markdown table.
#pragma once

#include <doppel/options/rows.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace doppel::options {

/// "min-scale" as a key of config.json: "min_scale".
inline std::string json_key(std::string name) {
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

/// One JSON object, a key for each option.
inline nlohmann::ordered_json to_json(const std::vector<Row>& rows) {
    auto object = nlohmann::ordered_json::object();
    const auto json = []<class V>(const V& value) -> nlohmann::ordered_json {
        if constexpr (std::is_pointer_v<V>)
            return *value;
        else
            return value.get();
    };
    for (const Row& row : rows) object[json_key(row.name)] = std::visit(json, row.value);
    return object;
}
template <Options O>
nlohmann::ordered_json to_json(const O& object) {
    O copy = object;
    return to_json(rows_of(copy));
}

/// Sets one option from a JSON value. Throws Error when the value may not stand there: `who` names the file.
inline void set_from_json(std::string_view who, const Row& row, const nlohmann::ordered_json& value) {
    const std::string text = value.is_string() ? value.get<std::string>()
                             : value.is_boolean() ? (value.get<bool>() ? "true" : "false")
                             : value.is_number_float() ? detail::number_text(value.get<double>())
                                                       : value.dump();
    bool right = false;
    if (auto* const* number = std::get_if<double*>(&row.value)) {  // all digits, which number_text has not
        right = value.is_number() && row.range.contains(value.get<double>());
        if (right) **number = value.get<double>();
    } else {
        const bool text_wanted = std::holds_alternative<std::string*>(row.value) || std::holds_alternative<EnumValue>(row.value);
        right = value.is_string() == text_wanted && row.set(text);
    }
    require(right, who, ": ", json_key(row.name), " must be ", row.expected(), ", got ", value.dump());
}

/// Sets the options that a JSON object names. Throws Error for an unknown key, with the nearest known one, and for a
/// value that may not stand there.
inline void from_json(std::string_view who, const std::vector<Row>& rows, const nlohmann::ordered_json& object) {
    require(object.is_object(), who, ": options must be a JSON object, got ", object.dump());
    std::vector<std::string> names;
    for (const Row& row : rows) names.push_back(json_key(row.name));
    for (const auto& [key, value] : object.items()) {
        const auto found = std::find(names.begin(), names.end(), json_key(key));
        if (found == names.end()) {
            const auto near = nearest_name(json_key(key), names);
            fail(who, ": there is no option '", key, "'", near.empty() ? "" : "; did you mean '" + near + "'?");
        }
        set_from_json(who, rows[static_cast<std::size_t>(found - names.begin())], value);
    }
}

/// A Markdown table: option, default, meaning, range.
inline std::string markdown(const std::vector<Row>& rows) {
    std::string text = "| option | default | meaning | values |\n|---|---|---|---|\n";
    for (const Row& row : rows)
        text += "| `--" + row.name + "` | " + row.text() + (row.unit.empty() ? "" : " " + row.unit) + " | " + row.meaning +
                " | " + row.expected() + " |\n";
    return text;
}

}  // namespace doppel::options
