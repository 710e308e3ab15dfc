// SPDX-License-Identifier: Apache-2.0
// The exception type for errors that a user can fix: options, shapes, files.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace doppel {

namespace detail {

/// Replaces control characters, which file names and values from files may contain, by '?'.
inline std::string one_line(std::string text) {
    for (char& c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
    return text;
}

}  // namespace detail

/// An invalid option, shape, file or image.
/// The message is one line: where, what is wrong, what was given, what was expected.
struct Error : std::runtime_error {
    explicit Error(std::string text) : std::runtime_error(detail::one_line(std::move(text))) {}
};

/// An image that cannot be decoded: the only Error that a loader can skip (data/damaged_images.hpp).
struct DamagedImage : Error {
    using Error::Error;
};

/// An image file that cannot be read: vanished, no permission, a disk or network error. Loaders try once more, then skip it.
struct UnreadableImage : DamagedImage {
    using DamagedImage::DamagedImage;
};

/// A batch that is too large for a device's memory.
struct OutOfMemory : Error {
    using Error::Error;
};

/// Concatenates the parts with operator<< and throws the result as an Error.
///
///     fail("NtXent: temperature must be > 0, got ", temperature);
template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
    std::ostringstream text;
    (text << ... << parts);
    throw Error(text.str());
}

/// Calls fail(parts...) unless `holds`.
template <class... Parts>
void require(bool holds, const Parts&... parts) {
    if (!holds) [[unlikely]]
        fail(parts...);
}

}  // namespace doppel
