// SPDX-License-Identifier: Apache-2.0
// TIFF files of any number of samples per pixel, without compression.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace doppel::test {

struct TiffLayout {
    int width = 7, height = 5, samples = 4, bits = 8;
    bool separate = false;  ///< a plane per sample
    int tile = 0;           ///< side of the tiles, a multiple of 16; 0: strips of two rows
    int photometric = 1, orientation = 1;
};

/// Writes the samples [height, width, samples], little-endian.
inline std::vector<std::uint8_t> tiff_of(const std::vector<std::uint16_t>& values, const TiffLayout& o) {
    std::vector<std::uint8_t> file{'I', 'I', 42, 0, 0, 0, 0, 0};
    const auto put = [&](std::uint64_t value, int bytes) {
        for (int i = 0; i < bytes; ++i) file.push_back(static_cast<std::uint8_t>(value >> 8 * i));
    };
    std::vector<std::uint32_t> offsets, sizes;
    const int across = o.tile ? o.tile : o.width, down = o.tile ? o.tile : 2;
    for (int plane = 0; plane < (o.separate ? o.samples : 1); ++plane)
        for (int top = 0; top < o.height; top += down)
            for (int left = 0; left < o.width; left += across) {
                offsets.push_back(static_cast<std::uint32_t>(file.size()));
                for (int y = top; y < top + down && (o.tile || y < o.height); ++y)
                    for (int x = left; x < left + across; ++x)
                        for (int s = o.separate ? plane : 0; s < (o.separate ? plane + 1 : o.samples); ++s)
                            put(x < o.width && y < o.height ? values[static_cast<std::size_t>((y * o.width + x) * o.samples + s)] : 0, o.bits / 8);
                sizes.push_back(static_cast<std::uint32_t>(file.size()) - offsets.back());
            }
    const auto list = [&](const std::vector<std::uint32_t>& numbers, int bytes) {
        const auto at = static_cast<std::uint32_t>(file.size());
        for (const auto number : numbers) put(number, bytes);
        return at;
    };
    const auto at_offsets = list(offsets, 4), at_sizes = list(sizes, 4);
    const auto at_bits = list(std::vector<std::uint32_t>(static_cast<std::size_t>(o.samples), static_cast<std::uint32_t>(o.bits)), 2);
    const auto count = static_cast<std::uint32_t>(offsets.size()), samples = static_cast<std::uint32_t>(o.samples);
    struct Entry {
        std::uint32_t tag, type, count, value;
    };
    const auto number = [](std::uint32_t tag, int value) { return Entry{tag, 4, 1, static_cast<std::uint32_t>(value)}; };
    const int extras = o.samples - (o.photometric == 2 ? 3 : 1);
    std::vector<Entry> entries{number(256, o.width), number(257, o.height),
                               {258, 3, samples, samples == 1 ? static_cast<std::uint32_t>(o.bits) : samples == 2 ? static_cast<std::uint32_t>(o.bits * 65537) : at_bits},
                               number(259, 1), number(262, o.photometric)};
    if (!o.tile) entries.push_back({273, 4, count, count == 1 ? offsets[0] : at_offsets});
    entries.push_back(number(274, o.orientation));
    entries.push_back(number(277, o.samples));
    if (!o.tile) entries.push_back(number(278, down));
    if (!o.tile) entries.push_back({279, 4, count, count == 1 ? sizes[0] : at_sizes});
    entries.push_back(number(284, o.separate ? 2 : 1));
    if (o.tile)
        for (const Entry& entry : {number(322, o.tile), number(323, o.tile), Entry{324, 4, count, count == 1 ? offsets[0] : at_offsets},
                                   Entry{325, 4, count, count == 1 ? sizes[0] : at_sizes}})
            entries.push_back(entry);
    std::uint32_t at_extras = 0;
    if (extras > 2) at_extras = list(std::vector<std::uint32_t>(static_cast<std::size_t>(extras), 0), 2);
    if (extras > 0) entries.push_back({338, 3, static_cast<std::uint32_t>(extras), at_extras});
    const auto directory = file.size();
    for (std::size_t i = 0; i < 4; ++i) file[4 + i] = static_cast<std::uint8_t>(directory >> 8 * i);
    put(entries.size(), 2);
    for (const Entry& e : entries) put(e.tag, 2), put(e.type, 2), put(e.count, 4), put(e.value, 4);
    put(0, 4);
    return file;
}

}  // namespace doppel::test
