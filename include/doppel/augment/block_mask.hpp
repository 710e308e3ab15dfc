// SPDX-License-Identifier: Apache-2.0
// Which patches of a view are hidden: blocks, as in BEiT and iBOT.
#pragma once

#include <doppel/augment/operation.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/random.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace doppel::augment {

/// Hides rectangular blocks of a view's patches, since the look of single ones follows from their neighbors.
///
/// With `probability` a view is masked at all. Then n = round(r · patches) are hidden, r ~ U(ratio), at least one and
/// never all. Blocks come one after the other: area ~ U(smallest, patches still to hide), height / width log-uniform in
/// `aspect`, place uniform; they may overlap, and reach neither from top to bottom nor from side to side. Where fewer
/// than `smallest` are left, or no block fits in 10 tries, what is hidden grows by one neighbor after the other.
/// A pure function of grid and stream. Result: row by row, true: hidden.
/// Differs: where no block fits the authors' code stops, with fewer patches hidden than were drawn; here the number is
/// exact. DINOv2 spreads r evenly over the views of a batch, here each view draws its own. Its smallest block has 4
/// patches, as here, BEiT's 16.
/// Throws Error for an option out of range, and for a grid without patches.
/// Source: Bao et al., "BEiT: BERT Pre-Training of Image Transformers", 2021, arXiv:2106.08254, algorithm 1; Zhou et
/// al., "iBOT", 2021, arXiv:2111.07832, section 3; Oquab et al., "DINOv2", 2023, arXiv:2304.07193, and their code.
///
///     const augment::BlockMask mask{};
///     std::vector<bool> hidden = mask(14, 14, random::Stream({.seed = 1, .purpose = random::Purpose::mask}));
struct BlockMask {
    /// Share of the views that are masked, 0 … 1.
    double probability = 0.5;
    /// Share of a masked view's patches that are hidden, 0 < low ≤ high ≤ 1.
    Range ratio{0.1, 0.5};
    /// Patches of the smallest block, ≥ 1.
    std::int64_t smallest = 4;
    /// Height over width of a block, 0 < low ≤ high.
    Range aspect{0.3, 1 / 0.3};

    void check() const {
        detail::require_probability("BlockMask", probability);
        require(ratio.low > 0 && ratio.low <= ratio.high && ratio.high <= 1,
                "BlockMask: ratio must be 0 < low <= high <= 1, got [", ratio.low, ", ", ratio.high, "]");
        require(smallest >= 1, "BlockMask: smallest must be at least 1 patch, got ", smallest);
        require(aspect.low > 0 && aspect.low <= aspect.high && aspect.high < std::numeric_limits<double>::infinity(),
                "BlockMask: aspect must be 0 < low <= high, got [", aspect.low, ", ", aspect.high, "]");
    }

    std::vector<bool> operator()(std::int64_t rows, std::int64_t columns, random::Stream draw) const {
        check();
        require(rows >= 1 && columns >= 1, "BlockMask: the grid needs at least one patch, got ", rows, " x ", columns);
        const std::int64_t patches = rows * columns;
        Grid grid{rows, columns, std::vector<bool>(static_cast<std::size_t>(patches))};
        if (!draw.chance(probability) || patches == 1) return grid.hidden;
        const double share = draw.uniform(ratio.low, ratio.high);
        std::int64_t left = std::llround(share * static_cast<double>(patches));
        left = std::clamp(left, std::int64_t{1}, patches - 1);
        while (left >= smallest) {
            const std::int64_t more = hide_block(grid, left, draw);
            if (more == 0) break;
            left -= more;
        }
        for (; left > 0; --left) grow(grid, draw);
        return grid.hidden;
    }

private:
    struct Grid {
        std::int64_t rows, columns;
        std::vector<bool> hidden;

        std::size_t at(std::int64_t row, std::int64_t column) const {
            return static_cast<std::size_t>(row * columns + column);
        }
        bool has(std::int64_t row, std::int64_t column) const {
            return row >= 0 && row < rows && column >= 0 && column < columns && hidden[at(row, column)];
        }
    };

    /// Hides a block that adds no more than `most` patches, and says how many it adds; 0: none of 10 fitted.
    std::int64_t hide_block(Grid& grid, std::int64_t most, random::Stream& draw) const {
        const double low = std::log(aspect.low), high = std::log(aspect.high);
        for (int attempt = 0; attempt < 10; ++attempt) {
            const double area = draw.uniform(static_cast<double>(smallest), static_cast<double>(most));
            const double shape = std::exp(draw.uniform(low, high));
            const double h = std::nearbyint(std::sqrt(area * shape)), w = std::nearbyint(std::sqrt(area / shape));
            if (h < 1 || h >= static_cast<double>(grid.rows)) continue;
            if (w < 1 || w >= static_cast<double>(grid.columns)) continue;
            const auto height = static_cast<std::int64_t>(h), width = static_cast<std::int64_t>(w);
            if (height * width < smallest) continue;
            const auto upto = [&](std::int64_t n) {
                return static_cast<std::int64_t>(draw.below(static_cast<std::uint64_t>(n) + 1));
            };
            const std::int64_t top = upto(grid.rows - height), side = upto(grid.columns - width);
            std::int64_t added = 0;
            for (std::int64_t r = top; r < top + height; ++r)
                for (std::int64_t c = side; c < side + width; ++c) added += grid.hidden[grid.at(r, c)] ? 0 : 1;
            if (added == 0 || added > most) continue;
            for (std::int64_t r = top; r < top + height; ++r)
                for (std::int64_t c = side; c < side + width; ++c) grid.hidden[grid.at(r, c)] = true;
            return added;
        }
        return 0;
    }

    /// Hides one patch more: a neighbor of a hidden one, or any where none is hidden yet.
    static void grow(Grid& grid, random::Stream& draw) {
        std::vector<std::size_t> free;
        for (std::int64_t r = 0; r < grid.rows; ++r)
            for (std::int64_t c = 0; c < grid.columns; ++c)
                if (!grid.has(r, c) &&
                    (grid.has(r - 1, c) || grid.has(r + 1, c) || grid.has(r, c - 1) || grid.has(r, c + 1)))
                    free.push_back(grid.at(r, c));
        const std::size_t chosen = draw.below(free.empty() ? grid.hidden.size() : free.size());
        grid.hidden[free.empty() ? chosen : free[chosen]] = true;
    }
};

}  // namespace doppel::augment
