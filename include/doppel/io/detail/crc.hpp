// SPDX-License-Identifier: Apache-2.0
// 32-bit cyclic redundancy checks, eight bytes at a time ("slicing by 8": Kounavis, Berry, IEEE Trans. Computers 2008).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace doppel::io::detail {

static_assert(std::endian::native == std::endian::little, "doppel: the file formats assume a little-endian machine");

/// An incremental CRC; `reflected` is the polynomial with its bits in reverse order.
template <std::uint32_t reflected>
class Crc {
public:
    Crc& update(const void* data, std::size_t size) {
        auto at = static_cast<const unsigned char*>(data);
        for (; size >= 8; at += 8, size -= 8) {
            std::uint64_t word;
            std::memcpy(&word, at, 8);
            word ^= state_;
            state_ = 0;
            for (std::size_t byte = 0; byte < 8; ++byte) state_ ^= tables[7 - byte][word >> (8 * byte) & 0xFF];
        }
        for (; size > 0; ++at, --size) state_ = state_ >> 8 ^ tables[0][(state_ ^ *at) & 0xFF];
        return *this;
    }
    Crc& update(std::string_view bytes) { return update(bytes.data(), bytes.size()); }

    std::uint32_t value() const { return ~state_; }

private:
    static constexpr auto tables = [] {
        std::array<std::array<std::uint32_t, 256>, 8> made{};
        for (std::uint32_t byte = 0; byte < 256; ++byte) {
            std::uint32_t value = byte;
            for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ (value & 1 ? reflected : 0);
            made[0][byte] = value;
        }
        for (std::size_t table = 1; table < 8; ++table)
            for (std::size_t byte = 0; byte < 256; ++byte) {
                const auto previous = made[table - 1][byte];
                made[table][byte] = previous >> 8 ^ made[0][previous & 0xFF];
            }
        return made;
    }();

    std::uint32_t state_ = ~std::uint32_t{0};
};

using Crc32 = Crc<0xEDB88320>;   // zip, PNG
using Crc32c = Crc<0x82F63B78>;  // Castagnoli: TFRecord

}  // namespace doppel::io::detail
