// SPDX-License-Identifier: Apache-2.0
// The described members of an options object as rows of run-time values: what command line, validation, JSON and tables
// loop over, so that they are compiled once for all options.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/options/field.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace doppel::options {

/// An enumeration's value by name.
struct EnumValue {
    std::function<std::string()> get{};
    std::function<void(std::size_t)> set{};  ///< by the number of the name
};

/// One option, bound to the object it was taken from (which must outlive the row).
struct Row {
    std::string name{}, meaning{}, unit{};
    Range range{};
    std::vector<std::string> choices{};  ///< of an enumeration; empty: any
    std::variant<bool*, int*, std::int64_t*, double*, std::string*, EnumValue> value{};

    bool is_switch() const { return std::holds_alternative<bool*>(value); }

    /// The value as text: "0.1", "true", "lars".
    std::string text() const {
        struct Visit {
            std::string operator()(const bool* v) const { return *v ? "true" : "false"; }
            std::string operator()(const int* v) const { return std::to_string(*v); }
            std::string operator()(const std::int64_t* v) const { return std::to_string(*v); }
            std::string operator()(const double* v) const { return detail::number_text(*v); }
            std::string operator()(const std::string* v) const { return *v; }
            std::string operator()(const EnumValue& v) const { return v.get(); }
        };
        return std::visit(Visit{}, value);
    }

    /// What may stand there: "a number above 0", "a whole number from 1 to 16", "one of lars, sgd".
    std::string expected() const {
        if (is_switch()) return "true or false";
        if (!choices.empty()) {
            std::string list;
            for (const auto& choice : choices) list += (list.empty() ? "one of " : ", ") + choice;
            return list;
        }
        if (std::holds_alternative<std::string*>(value)) return "text";
        const std::string kind = std::holds_alternative<double*>(value) ? "a number" : "a whole number";
        const std::string limits = range.text();
        return limits.empty() ? kind : kind + (limits.find(" to ") != std::string::npos ? " from " : " ") + limits;
    }

    /// Sets the value from text; false when the text is none that may stand there, and nothing is changed.
    bool set(const std::string& given) const {
        const auto number = [&]<class T>(T* v) {
            T parsed{};
            const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), parsed);
            if (error != std::errc{} || end != given.data() + given.size() || !range.contains(static_cast<double>(parsed)))
                return false;
            *v = parsed;
            return true;
        };
        if (const auto* v = std::get_if<bool*>(&value)) {
            if (given != "true" && given != "false") return false;
            **v = given == "true";
            return true;
        }
        if (const auto* v = std::get_if<int*>(&value)) return number(*v);
        if (const auto* v = std::get_if<std::int64_t*>(&value)) return number(*v);
        if (const auto* v = std::get_if<double*>(&value)) return number(*v);
        const auto found = std::find(choices.begin(), choices.end(), given);
        if (!choices.empty() && found == choices.end()) return false;
        if (const auto* v = std::get_if<std::string*>(&value))
            **v = given;
        else
            std::get<EnumValue>(value).set(static_cast<std::size_t>(found - choices.begin()));
        return true;
    }

    /// Whether the value that it has may stand there.
    bool valid() const {
        if (const auto* v = std::get_if<int*>(&value)) return range.contains(static_cast<double>(**v));
        if (const auto* v = std::get_if<std::int64_t*>(&value)) return range.contains(static_cast<double>(**v));
        if (const auto* v = std::get_if<double*>(&value)) return range.contains(**v);
        if (const auto* v = std::get_if<std::string*>(&value))
            return choices.empty() || std::find(choices.begin(), choices.end(), **v) != choices.end();
        return true;
    }
};

namespace detail {

template <class Owner, class Group>
void add_rows(std::vector<Row>& rows, Owner& owner, const GroupField<Owner, Group>& field);

template <class Owner, class T>
void add_rows(std::vector<Row>& rows, Owner& owner, const Field<Owner, T>& field) {
    Row row{.name = std::string(field.name), .meaning = std::string(field.meaning), .unit = std::string(field.unit),
            .range = field.range};
    T& value = owner.*field.member;
    if constexpr (std::is_enum_v<T>) {
        static_assert(NamedEnum<T>, "an enumeration among options needs option_names(E) beside it");
        for (const auto name : option_names(T{})) row.choices.emplace_back(name);
        row.value = EnumValue{.get = [&value] { return std::string(name_of(value)); },
                              .set = [&value](std::size_t i) { value = static_cast<T>(i); }};
    } else {
        row.value = &value;
    }
    rows.push_back(std::move(row));
}

template <class Owner, class T>
void add_rows(std::vector<Row>&, Owner&, const HiddenField<Owner, T>&) {}

template <class O>
void add_all(std::vector<Row>& rows, O& object) {
    std::apply([&](const auto&... fields) { (add_rows(rows, object, fields), ...); }, O::fields());
}

template <class Owner, class Group>
void add_rows(std::vector<Row>& rows, Owner& owner, const GroupField<Owner, Group>& field) {
    add_all(rows, owner.*field.member);
}

}  // namespace detail

/// The options of `object` in the order of their description, groups in place.
///
///     for (const auto& row : options::rows_of(options)) std::cout << row.name << " = " << row.text() << '\n';
template <Options O>
std::vector<Row> rows_of(O& object) {
    static_assert(described<O>, "fields() must name every member of the options");
    std::vector<Row> rows;
    detail::add_all(rows, object);
    return rows;
}

/// Throws Error for the first value out of its range: "simclr: temperature must be a number above 0, got -1".
inline void validate(std::string_view who, const std::vector<Row>& rows) {
    for (const Row& row : rows)
        require(row.valid(), who, ": ", row.name, " must be ", row.expected(), ", got ", row.text());
}
template <Options O>
void validate(std::string_view who, const O& object) {
    O copy = object;
    validate(who, rows_of(copy));
}

/// The name of `names` that a mistyped one most likely means: the nearest by edits; empty when none is near.
inline std::string nearest_name(std::string_view given, const std::vector<std::string>& names) {
    std::string best;
    std::size_t fewest = std::max<std::size_t>(2, given.size() / 3) + 1;
    for (const std::string& name : names) {
        std::vector<std::size_t> row(name.size() + 1);
        std::iota(row.begin(), row.end(), std::size_t{0});
        for (std::size_t i = 1; i <= given.size(); ++i) {
            std::size_t diagonal = std::exchange(row[0], i);
            for (std::size_t j = 1; j <= name.size(); ++j) {
                const std::size_t replaced = diagonal + (given[i - 1] == name[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
            }
        }
        if (row.back() < fewest) {
            fewest = row.back();
            best = name;
        }
    }
    return best;
}

}  // namespace doppel::options
