// SPDX-License-Identifier: Apache-2.0
// Tar archives, member by member.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace doppel::test {

/// A block's field as octal digits.
inline std::string octal(std::uint64_t value, std::size_t digits) {
    std::string text(digits, '0');
    for (; digits-- > 0; value /= 8) text[digits] = static_cast<char>('0' + value % 8);
    return text;
}

/// Writes the right checksum into a header.
inline std::string with_checksum(std::string header) {
    header.replace(148, 8, "        ");
    std::uint64_t sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    return header.replace(148, 8, octal(sum, 6) + std::string("\0 ", 2));
}

/// A header and its body, filled up to whole blocks; `magic` is that of POSIX or of GNU.
inline std::string tar_member(const std::string& name, std::string_view body, char type = '0', std::string_view prefix = {},
                              std::string_view magic = std::string_view("ustar\00000", 8)) {
    std::string header(512, '\0');
    header.replace(0, name.substr(0, 100).size(), name.substr(0, 100));
    header.replace(100, 7, "0000644");
    header.replace(124, 11, octal(body.size(), 11));
    header.replace(136, 11, octal(0, 11));
    header[156] = type;
    header.replace(257, magic.size(), magic);
    header.replace(345, prefix.size(), prefix);
    std::string padded(body);
    padded.resize((body.size() + 511) / 512 * 512, '\0');
    return with_checksum(header) + padded;
}

/// A pax record.
inline std::string pax(const std::string& key, const std::string& value) {
    const auto rest = " " + key + "=" + value + "\n";
    auto length = rest.size() + 1;
    while (std::to_string(length).size() + rest.size() != length) ++length;
    return std::to_string(length) + rest;
}

inline std::string tar_end() { return std::string(1024, '\0'); }

}  // namespace doppel::test
