// SPDX-License-Identifier: Apache-2.0
// Takes rows of blocks out of a JPEG that has a restart marker after each of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace doppel::image::detail {

/// Returns the JPEG of the rows [first, end) of blocks, `height` pixels high. `start` is where the header ends and the data of
/// the only scan begin. Returns nothing if the markers are not there.
inline std::vector<std::uint8_t> jpeg_rows(std::span<const std::uint8_t> bytes, std::size_t start, int first, int end, int height) {
    std::size_t frame = 0;  // segments: 0xFF, kind, length; that of the frame goes on with bits and height
    for (std::size_t at = 2; at + 7 <= start && frame == 0;) {
        if (bytes[at] != 0xFF) return {};
        const int kind = bytes[at + 1];
        if (kind == 0xC0 || kind == 0xC1) frame = at;
        at += kind == 0xFF ? 1 : 2 + (std::size_t{bytes[at + 2]} << 8 | bytes[at + 3]);
    }
    if (frame == 0) return {};
    std::vector<std::uint8_t> rows;
    rows.reserve(bytes.size());
    rows.assign(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(start));
    rows[frame + 5] = static_cast<std::uint8_t>(height >> 8);
    rows[frame + 6] = static_cast<std::uint8_t>(height);
    const std::uint8_t *at = bytes.data() + start, *const last = bytes.data() + bytes.size();
    for (int row = 0; row < end; ++row) {
        const std::uint8_t* const begin = at;
        for (;; at += 2) {  // 0xFF is data before a zero
            at = static_cast<const std::uint8_t*>(std::memchr(at, 0xFF, static_cast<std::size_t>(last - at)));
            if (!at || last - at < 2) return {};
            if (at[1] != 0) break;
        }
        const bool restart = at[1] >= 0xD0 && at[1] <= 0xD7;
        if (!restart && (at[1] != 0xD9 || row + 1 < end)) return {};
        if (row >= first) {
            rows.insert(rows.end(), begin, at);
            const int number = row + 1 < end ? 0xD0 + (row - first) % 8 : 0xD9;
            rows.push_back(0xFF);
            rows.push_back(static_cast<std::uint8_t>(number));
        }
        at += 2;
    }
    return rows;
}

}  // namespace doppel::image::detail
