// SPDX-License-Identifier: Apache-2.0
// Options described once: an aggregate names each of its members with meaning, range and unit, and everything else
// (command line, --help, validation, config.json, tables of the documents, a run's identity) follows from that.
//
//     struct MyOptions {
//         options::Training<> train{};
//         double temperature = 0.1;
//         static constexpr auto fields() {
//             return std::tuple(options::group(&MyOptions::train),
//                               options::field(&MyOptions::temperature, "temperature", "temperature of NT-Xent", options::above(0, 10)));
//         }
//     };
//     static_assert(options::described<MyOptions>);  // a member that was forgotten does not compile
#pragma once

#include <doppel/options/range.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <type_traits>

namespace doppel::options {

/// One member of an options aggregate.
template <class Owner, class T>
struct Field {
    T Owner::*member;
    std::string_view name;     ///< as on the command line, without dashes: "min-scale"
    std::string_view meaning;  ///< one phrase, lower case
    Range range{};             ///< of numbers
    std::string_view unit{};   ///< "px", "epochs"; empty for plain numbers
};

template <class Owner, class T>
constexpr Field<Owner, T> field(T Owner::*member, std::string_view name, std::string_view meaning, Range range = {},
                                std::string_view unit = {}) {
    return {member, name, meaning, range, unit};
}

/// A member that is itself a described aggregate: its fields count as the owner's.
template <class Owner, class Group>
struct GroupField {
    Group Owner::*member;
};
template <class Owner, class Group>
constexpr GroupField<Owner, Group> group(Group Owner::*member) {
    return {member};
}

/// A member that is no option: a callback, an object shared with the caller. It has no row.
template <class Owner, class T>
struct HiddenField {
    T Owner::*member;
};
template <class Owner, class T>
constexpr HiddenField<Owner, T> hidden(T Owner::*member) {
    return {member};
}

/// Has a static fields() that gives a tuple of Field, GroupField and HiddenField.
template <class O>
concept Options = requires { std::tuple_size<decltype(O::fields())>::value; };

/// An enumeration as an option: `option_names(E)`, found beside it, gives a std::array of the values' names from 0 on.
template <class E>
concept NamedEnum = std::is_enum_v<E> && requires(E e) { { option_names(e)[0] } -> std::convertible_to<std::string_view>; };

template <NamedEnum E>
constexpr std::string_view name_of(E value) {
    return option_names(value)[static_cast<std::size_t>(value)];
}

namespace detail {

struct Anything {
    template <class T>
    constexpr operator T() const noexcept;  // NOLINT: implicit by intent; never defined
};

template <class T, class... Given>
consteval std::size_t members() {
    if constexpr (requires { T{Given{}..., Anything{}}; })
        return members<T, Given..., Anything>();
    else
        return sizeof...(Given);
}

}  // namespace detail

/// True when fields() names as many members as the aggregate has.
template <Options O>
inline constexpr bool described = detail::members<O>() == std::tuple_size_v<decltype(O::fields())>;

}  // namespace doppel::options
