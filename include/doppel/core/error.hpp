// SPDX-License-Identifier: Apache-2.0
// One exception type for everything a user can put right: options, shapes, files.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace doppel {

namespace detail {

/// Control characters, which names and values from files may hold, become '?'.
inline std::string one_line(std::string text) {
    for (char& c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
    return text;
}

}  // namespace detail

/// What doppel throws when an option, a shape, a file or an image is not what it must be.
/// The text is one line: who complains, what was given, what was expected.
struct Error : std::runtime_error {
    explicit Error(std::string text) : std::runtime_error(detail::one_line(std::move(text))) {}
};

/// The bytes of an image that are not a whole one. The only Error that a loader may step over (data/damaged_images.hpp).
struct DamagedImage : Error {
    using Error::Error;
};

/// Joins the parts with operator<< and throws them as an Error.
///
///     fail("NtXent: temperature must be > 0, got ", temperature);
template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
    std::ostringstream text;
    (text << ... << parts);
    throw Error(text.str());
}

/// fail(parts...) unless `holds`.
template <class... Parts>
void require(bool holds, const Parts&... parts) {
    if (!holds) [[unlikely]]
        fail(parts...);
}

}  // namespace doppel
