// SPDX-License-Identifier: Apache-2.0
// The members of a tar archive, by its headers.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/detail/label_texts.hpp>
#include <doppel/data/detail/random_file.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace doppel::data::detail {

inline constexpr std::size_t tar_block = 512;
using TarHeader = std::array<std::uint8_t, tar_block>;

inline std::string_view tar_text(std::span<const std::uint8_t> field) {
    const std::string_view text(reinterpret_cast<const char*>(field.data()), field.size());
    return text.substr(0, text.find('\0'));
}

/// Returns a number of a header: octal digits between spaces, or, with the highest bit set, binary (GNU). Nothing if it is
/// neither, or above 2^62.
inline std::optional<std::uint64_t> tar_number(std::span<const std::uint8_t> field) {
    std::uint64_t value = 0;
    if (field[0] & 0x80) {
        for (std::size_t i = 0; i < field.size(); ++i) {
            if (value >> 54) return std::nullopt;
            value = value << 8 | (i == 0 ? field[0] & 0x7FU : field[i]);
        }
        return value;
    }
    auto text = tar_text(field);
    while (text.starts_with(' ')) text.remove_prefix(1);
    while (text.ends_with(' ')) text.remove_suffix(1);
    for (const char c : text) {
        if (c < '0' || c > '7' || value >> 59) return std::nullopt;
        value = value * 8 + static_cast<std::uint64_t>(c - '0');
    }
    return value;
}

/// Returns whether a block is a header: its checksum is right.
inline bool is_tar_header(const TarHeader& block) {
    const auto written = tar_number(std::span(block).subspan(148, 8));
    std::uint64_t sum = 8 * ' ';
    for (std::size_t i = 0; i < block.size(); ++i)
        if (i < 148 || i >= 156) sum += block[i];
    return written == sum && sum > 8 * ' ';
}

/// A file in an archive.
struct TarMember {
    std::string name;
    std::uint64_t offset = 0, size = 0;  ///< of its bytes in the archive
};

/// Reads an archive's headers one after another, and skips what is between them. Knows ustar, GNU and pax, with long names.
class Tar {
public:
    explicit Tar(const RandomFile& file) : file_(file) {}

    /// Returns the next regular file; nothing at the end. Throws Error, with the path and the offset, for a damaged header, and
    /// for a member that the file ends in.
    std::optional<TarMember> next() {
        std::string long_name;
        std::optional<std::uint64_t> long_size;
        for (TarHeader header;;) {
            const auto got = file_.read(at_, header);
            if (got == 0) {
                require(long_name.empty(), where(), ": the archive ends behind a long name, expected its member");
                has_end_ = false;
                return std::nullopt;
            }
            require(got == header.size(), where(), ": the archive ends within a header");
            if (is_zero(header)) {
                require_zeros(at_);
                return std::nullopt;
            }
            require(is_tar_header(header), where(), ": not a tar header, the archive is damaged");
            const auto size = long_size ? long_size : tar_number(std::span(header).subspan(124, 12));
            require(size && *size <= file_.size(), where(), ": a member of ", size ? std::to_string(*size) : "unreadable", " bytes in an archive of ",
                    file_.size());
            const char type = static_cast<char>(header[156]);
            const bool has_body = type != '1' && type != '2' && type != '3' && type != '4' && type != '5' && type != '6';
            const auto begin = at_ + tar_block, end = begin + (has_body ? *size : 0);
            require(end <= file_.size(), where(), ": the archive ends within a member of ", *size, " bytes; it is truncated");
            const auto header_at = at_;
            at_ = (end + tar_block - 1) / tar_block * tar_block;
            if (type == 'L') {
                long_name = std::string(tar_text(body(begin, *size, header_at)));
            } else if (type == 'x') {
                read_pax(body(begin, *size, header_at), long_name, long_size);
            } else if (type == '0' || type == '\0' || type == '7') {
                return TarMember{long_name.empty() ? name_of(header) : long_name, begin, *size};
            } else if (type != 'K' && type != 'g') {  // a folder, link or device
                long_name.clear();
                long_size.reset();
            }
        }
    }
    /// Whether the archive has its end marker, blocks of zeros.
    bool has_end() const { return has_end_; }

private:
    std::string where() const { return "data: " + file_.path().string() + " at byte " + std::to_string(at_); }

    static bool is_zero(std::span<const std::uint8_t> bytes) {
        return std::all_of(bytes.begin(), bytes.end(), [](auto byte) { return byte == 0; });
    }

    /// Throws Error unless the end marker ends the archive: zeros before other bytes are a hole, or two archives in one.
    void require_zeros(std::uint64_t from) const {
        std::vector<std::uint8_t> bytes(std::size_t{1} << 16);
        for (std::size_t got; (got = file_.read(from, bytes)) > 0; from += got)
            require(is_zero(std::span(bytes).first(got)), where(), ": zeros in the middle of the archive, it is damaged");
    }

    /// The bytes of a long name or of pax records.
    std::vector<std::uint8_t> body(std::uint64_t begin, std::uint64_t size, std::uint64_t header_at) const {
        require(size <= 1 << 20, "data: ", file_.path().string(), " at byte ", header_at, ": extended header of ", size,
                " bytes, expected at most 2^20");
        std::vector<std::uint8_t> bytes(static_cast<std::size_t>(size));
        bytes.resize(file_.read(begin, bytes));
        return bytes;
    }

    static std::string name_of(const TarHeader& header) {
        const std::span all(header);
        const auto name = std::string(tar_text(all.first(100)));
        const auto prefix = tar_text(all.subspan(257, 6)) == "ustar" ? tar_text(all.subspan(345, 155)) : std::string_view();  // not GNU's
        return prefix.empty() ? name : std::string(prefix) + "/" + name;
    }

    /// Reads path and size of pax records: "LENGTH KEY=VALUE\n".
    static void read_pax(const std::vector<std::uint8_t>& bytes, std::string& name, std::optional<std::uint64_t>& size) {
        std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        while (!text.empty()) {
            const auto space = text.find(' ');
            const auto length = whole_number(text.substr(0, space));
            if (space == text.npos || !length || *length <= static_cast<std::int64_t>(space) ||
                *length > static_cast<std::int64_t>(text.size()))
                return;
            auto record = text.substr(space + 1, static_cast<std::size_t>(*length) - space - 1);
            text.remove_prefix(static_cast<std::size_t>(*length));
            if (record.ends_with('\n')) record.remove_suffix(1);
            if (record.starts_with("path="))
                name = std::string(record.substr(5));
            else if (const auto value = record.starts_with("size=") ? whole_number(record.substr(5)) : std::nullopt; value && *value >= 0)
                size = static_cast<std::uint64_t>(*value);
        }
    }

    const RandomFile& file_;
    std::uint64_t at_ = 0;
    bool has_end_ = true;
};

}  // namespace doppel::data::detail
