// SPDX-License-Identifier: Apache-2.0
// Transposes blocks of bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace doppel::image::detail {

inline constexpr int tile = 16;  // rows and columns of a block

using Bytes __attribute__((vector_size(tile))) = std::uint8_t;

/// A perfect shuffle of 256 bytes: moves one bit of the row's number to the column's.
[[gnu::always_inline]] inline void shuffle_tile(const Bytes (&from)[tile], Bytes (&to)[tile]) {
#pragma GCC unroll 8
    for (int i = 0; i < tile / 2; ++i) {
        const Bytes &a = from[i], &b = from[i + tile / 2];
        to[2 * i] = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        to[2 * i + 1] = __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
}

/// out[j · out_stride + i] = in[i][offset + j] for i, j < 16; `in` are 16 rows.
[[gnu::always_inline]] inline void transpose_tile(const std::uint8_t* const* in, std::ptrdiff_t offset,
                                                  std::uint8_t* out, std::ptrdiff_t out_stride) {
    Bytes rows[tile], other[tile];
#pragma GCC unroll 16
    for (int i = 0; i < tile; ++i) std::memcpy(&rows[i], in[i] + offset, tile);
    shuffle_tile(rows, other);
    shuffle_tile(other, rows);
    shuffle_tile(rows, other);
    shuffle_tile(other, rows);
#pragma GCC unroll 16
    for (int j = 0; j < tile; ++j) std::memcpy(out + j * out_stride, &rows[j], tile);
}

}  // namespace doppel::image::detail
