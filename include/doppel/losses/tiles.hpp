// SPDX-License-Identifier: Apache-2.0
// When a contrastive loss computes its similarities by tiles.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>

#include <cstdint>
#include <limits>
#include <string_view>

namespace doppel::losses {

/// The size from which on a contrastive loss computes its matrix of similarities by tiles, and the size of a tile.
///
/// By tiles, no matrix of all similarities is made: memory is linear in the number of embeddings. The backward pass
/// computes each tile again. Values and gradients are those of the matrix up to rounding, and equal bit for bit from run
/// to run. First derivatives only; a second one throws.
///
///     losses::NtXent{.temperature = 0.2, .tiles = {.above = 0}}      // always by tiles
///     losses::NtXent{.temperature = 0.2, .tiles = losses::no_tiles}  // always one matrix
struct Tiles {
    std::int64_t above = std::int64_t{1} << 18;  ///< matrices of more values than this; tiles are faster from there on
    std::int64_t side = 0;                       ///< rows and columns of a tile; 0: 1,024, on a GPU 4,096

    /// On several processes a contrastive loss compares its rows with the keys of all, always by tiles. Keys of more values than
    /// this together travel around a ring, a process's block after the other; fewer are gathered, which takes fewer messages.
    std::int64_t ring_above = std::int64_t{1} << 24;

    /// Whether a matrix is computed by tiles.
    bool cut(std::int64_t rows, std::int64_t columns) const { return columns > 0 && rows > above / columns; }

    std::int64_t side_on(const Tensor& x) const {
        require(side >= 0, "Tiles: side must be at least 0, got ", side);
        return side > 0 ? side : x.is_cpu() ? 1024 : 4096;
    }
};

/// Computes one matrix, however large.
inline constexpr Tiles no_tiles{.above = std::numeric_limits<std::int64_t>::max()};

}  // namespace doppel::losses
