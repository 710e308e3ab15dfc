// SPDX-License-Identifier: Apache-2.0
// The layout of a packed file: what pack() writes and Packed reads.
#pragma once

#include <doppel/core/error.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace doppel::data::detail {

inline constexpr std::string_view packed_magic("doppel packed\r\n\x1a", 16);
inline constexpr std::uint32_t packed_version = 1;
inline constexpr std::size_t packed_head = 24, packed_tail = 24;

/// An image of a packed file.
struct PackedRecord {
    std::uint64_t offset = 0, bytes = 0;
    std::int64_t label = 0;
    std::uint32_t width = 0, height = 0, channels = 0, checksum = 0;
    std::string_view name{};
};

/// Writes numbers, little-endian, and texts after their length.
class PackedWriter {
public:
    template <class Number>
    void number(Number value) {
        text_.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    void text(std::string_view value) {
        number(static_cast<std::uint32_t>(value.size()));
        text_ += value;
    }
    void record(const PackedRecord& r) {
        number(r.offset), number(r.bytes), number(r.label);
        number(r.width), number(r.height), number(r.channels), number(r.checksum);
        text(r.name);
    }
    void append(const PackedWriter& other) { text_ += other.text_; }
    const std::string& bytes() const { return text_; }

private:
    std::string text_;
};

/// Reads what PackedWriter wrote; texts point into the bytes. Throws Error, with `who`, at their end.
class PackedReader {
public:
    PackedReader(std::span<const std::uint8_t> bytes, std::string who) : bytes_(bytes), who_(std::move(who)) {}

    template <class Number>
    Number number() {
        Number value;
        std::memcpy(&value, take(sizeof value), sizeof value);
        return value;
    }
    std::string_view text() {
        const auto size = number<std::uint32_t>();
        return {reinterpret_cast<const char*>(take(size)), size};
    }
    PackedRecord record() {
        PackedRecord r;
        r.offset = number<std::uint64_t>(), r.bytes = number<std::uint64_t>(), r.label = number<std::int64_t>();
        r.width = number<std::uint32_t>(), r.height = number<std::uint32_t>(), r.channels = number<std::uint32_t>();
        r.checksum = number<std::uint32_t>();
        r.name = text();
        return r;
    }
    std::size_t left() const { return bytes_.size(); }

private:
    const std::uint8_t* take(std::size_t size) {
        require(size <= bytes_.size(), who_, ": the index ends too early; pack the images again");
        const auto* const at = bytes_.data();
        bytes_ = bytes_.subspan(size);
        return at;
    }

    std::span<const std::uint8_t> bytes_;
    std::string who_;
};

}  // namespace doppel::data::detail
