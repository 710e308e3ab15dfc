// SPDX-License-Identifier: Apache-2.0
// Options described once: name, meaning, range. Command line, help, validation and config.json come from it.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/options/range.hpp>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

namespace doppel::cli {

/// What a word may be.
using Choices = std::vector<std::string>;

namespace detail {

template <class T>
struct Value {
    using type = T;
};
template <class T>
struct Value<std::optional<T>> {
    using type = T;
};
template <class T>
using value_t = typename Value<T>::type;

inline std::string number_text(double value) {
    std::ostringstream text;
    text.precision(12);
    text << value;
    return text.str();
}

template <class T>
std::string expectation(const Limits& limits) {
    std::string text = std::is_integral_v<T> ? "a whole number" : "a number";
    const bool low = std::isfinite(limits.min), high = std::isfinite(limits.max);
    if (low && high && !limits.above_min)
        return text + " from " + number_text(limits.min) + " to " + number_text(limits.max);
    if (low) text += (limits.above_min ? " above " : " of at least ") + number_text(limits.min);
    if (high) text += (low ? " and at most " : " of at most ") + number_text(limits.max);
    return text;
}

/// The number in the whole of `text`, inside the range; nothing otherwise.
template <class T>
std::optional<T> parse(const std::string& text, const Limits& limits) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    const auto number = static_cast<double>(value);
    if (!std::isfinite(number) || number < limits.min || number > limits.max ||
        (limits.above_min && number == limits.min))
        return std::nullopt;
    return value;
}

}  // namespace detail

/// Puts options on a command line. `describe(options, AddOptions{app, "Method"})` adds one option for each field.
struct AddOptions {
    CLI::App& app;
    std::string group;

    /// A number, or a number that may be left out.
    template <class T>
        requires std::is_arithmetic_v<detail::value_t<T>>
    void operator()(const std::string& name, T& field, const std::string& meaning, const Limits& limits) const {
        using V = detail::value_t<T>;
        auto* option = app.add_option_function<std::string>(
            "--" + name, [&field, limits](const std::string& text) { field = *detail::parse<V>(text, limits); },
            meaning);
        option->check(CLI::Validator(
            [name, limits](std::string& text) {
                return detail::parse<V>(text, limits)
                           ? ""
                           : "must be " + detail::expectation<V>(limits) + ", got '" + text + "'";
            },
            ""));
        option->type_name(std::is_integral_v<V> ? "N" : "X")->group(group);
        if constexpr (std::is_same_v<V, T>) option->default_str(detail::number_text(static_cast<double>(field)));
    }

    /// A word.
    void operator()(const std::string& name, std::string& field, const std::string& meaning,
                    const Choices& choices = {}) const {
        auto* option = app.add_option("--" + name, field, meaning)->group(group)->default_str(field);
        if (choices.empty()) {
            option->type_name("TEXT");
            return;
        }
        std::string list;
        for (const auto& choice : choices) list += (list.empty() ? "" : "|") + choice;
        option->type_name(list)->check(CLI::Validator(
            [choices, list](std::string& text) {
                for (const auto& choice : choices)
                    if (choice == text) return std::string();
                return "must be one of " + list + ", got '" + text + "'";
            },
            ""));
    }

    /// A switch.
    void operator()(const std::string& name, bool& field, const std::string& meaning) const {
        app.add_flag("--" + name, field, meaning)->group(group);
    }
};

/// Writes options into a JSON object, by the same description.
struct ToJson {
    nlohmann::ordered_json& object;

    template <class T, class... Rest>
    void operator()(std::string name, const T& field, Rest&&...) const {
        for (char& c : name)
            if (c == '-') c = '_';
        if constexpr (requires { field.has_value(); })
            object[name] = field ? nlohmann::ordered_json(*field) : nlohmann::ordered_json();
        else
            object[name] = field;
    }
};

}  // namespace doppel::cli
