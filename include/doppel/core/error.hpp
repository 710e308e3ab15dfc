// SPDX-License-Identifier: Apache-2.0
// One exception type for everything a user can put right: options, shapes, files.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace doppel {

/// What doppel throws when an option, a shape, a file or an image is not what it must be.
/// The text is one line: who complains, what was given, what was expected.
struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// The bytes of an image that are not a whole one. The only Error that a loader may step over (data/damage.hpp).
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
