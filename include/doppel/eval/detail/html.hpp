// SPDX-License-Identifier: Apache-2.0
// Escaped text and numbers for HTML and SVG.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace doppel::eval::detail {

/// Returns the number of bytes of the UTF-8 character at the start of `text`; 0 if XML does not allow it.
inline std::size_t character_length(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    if (byte(0) < 0x80) return byte(0) >= 0x20 || byte(0) == '\n' || byte(0) == '\t' ? 1 : 0;
    const std::size_t length = byte(0) >> 5 == 6 ? 2 : byte(0) >> 4 == 14 ? 3 : byte(0) >> 3 == 30 ? 4 : 0;
    if (length == 0 || text.size() < length) return 0;
    std::uint32_t code = byte(0) & (0x7Fu >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if (byte(i) >> 6 != 2) return 0;
        code = code << 6 | (byte(i) & 0x3Fu);
    }
    constexpr std::array<std::uint32_t, 5> least{0, 0, 0x80, 0x800, 0x10000};
    const bool allowed =
        code >= least[length] && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF) && (code & 0xFFFE) != 0xFFFE;
    return allowed ? length : 0;
}

/// Escapes text for HTML, SVG and quoted attributes. Replaces invalid characters by U+FFFD.
inline std::string escaped(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const auto length = character_length(text);
        switch (length == 0 ? '\0' : text[0]) {
            case '\0': out += "\xEF\xBF\xBD"; break;
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            case '\'': out += "&#39;"; break;
            default: out += text.substr(0, length);
        }
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return out;
}

/// Formats a number with `digits` decimals, independent of the locale.
inline std::string fixed(double value, int digits) {
    std::array<char, 400> text;
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, digits).ptr;
    return {text.data(), end};
}

/// Formats a number for readers: four significant digits, no trailing zeros; k, M, G from ten thousand on.
inline std::string number_text(double value) {
    const char* unit = "";
    for (const char* next : {"k", "M", "G"})
        if (std::abs(value) >= 9999.5 && std::isfinite(value)) value /= 1000, unit = next;
    std::array<char, 64> text;
    const auto end =
        std::to_chars(text.data(), text.data() + text.size(), value == 0 ? 0.0 : value, std::chars_format::general, 4)
            .ptr;
    return std::string(text.data(), end) + unit;
}

/// Formats a number for a script: six significant digits; "NaN" for what is not finite.
inline std::string plain_number(double value) {
    if (!std::isfinite(value)) return "NaN";
    std::array<char, 64> text;
    const auto end =
        std::to_chars(text.data(), text.data() + text.size(), value == 0 ? 0.0 : value, std::chars_format::general, 6)
            .ptr;
    return {text.data(), end};
}

/// Returns the texts as lines; a line break in a text becomes a space.
inline std::string joined_lines(const std::vector<std::string>& texts) {
    std::string lines;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        if (i > 0) lines += '\n';
        for (const char c : texts[i]) lines += c == '\n' ? ' ' : c;
    }
    return lines;
}

/// Returns the text with at most `most` characters, the last one an ellipsis if some are left out.
inline std::string shortened(std::string_view text, std::size_t most) {
    std::size_t at = 0, count = 0, before_last = 0;
    while (at < text.size() && count < most) {
        before_last = at;
        at += std::max<std::size_t>(character_length(text.substr(at)), 1), ++count;
    }
    return at >= text.size() ? std::string(text) : std::string(text.substr(0, before_last)) + "\u2026";
}

}  // namespace doppel::eval::detail
