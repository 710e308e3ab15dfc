// SPDX-License-Identifier: Apache-2.0
// Block masks over the patches of a view, as in BEiT and iBOT.
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

/// A random mask of rectangular blocks of patches; single patches would be too easy to infer from their neighbors.
///
/// A view is masked with `probability`. Then n = round(r · patches) patches are masked, r ~ U(ratio), at least one and
/// never all. Blocks are drawn one after the other: area ~ U(smallest, patches still to mask), height / width
/// log-uniform in `aspect`, position uniform; blocks may overlap and never span the full height or width. If fewer than
/// `smallest` patches remain, or no block fits in 10 tries, the masked area grows by one neighboring patch at a time.
/// A pure function of grid and stream. Returns the mask row by row, true where masked.
/// Differs: if no block fits, the authors' code stops with fewer masked patches than drawn; here the number is exact.
/// DINOv2 spreads r evenly over the views of a batch; here each view draws its own r. DINOv2's smallest block has 4
/// patches, as here, BEiT's 16, and iBOT's the square of a third of the grid's shorter side (`smallest` 0).
/// Throws Error for options out of range, and for a grid without patches.
/// Source: Bao et al., "BEiT: BERT Pre-Training of Image Transformers", 2021, arXiv:2106.08254, algorithm 1; Zhou et
/// al., "iBOT", 2021, arXiv:2111.07832, section 3; Oquab et al., "DINOv2", 2023, arXiv:2304.07193, and their code.
///
///     const augment::BlockMask mask{};
///     std::vector<bool> masked = mask(14, 14, random::Stream({.seed = 1, .purpose = random::Purpose::mask}));
struct BlockMask {
    /// Share of the views that are masked, 0 … 1.
    double probability = 0.5;
    /// Share of the patches of a masked view that are masked, 0 < low ≤ high ≤ 1.
    Range ratio{0.1, 0.5};
    /// Patches of the smallest block, ≥ 1, or 0: ⌊shorter side of the grid / 3⌋², at least 1.
    std::int64_t smallest = 4;
    /// Height over width of a block, 0 < low ≤ high.
    Range aspect{0.3, 1 / 0.3};

    void check() const {
        detail::require_probability("BlockMask", probability);
        require(ratio.low > 0 && ratio.low <= ratio.high && ratio.high <= 1,
                "BlockMask: ratio must be 0 < low <= high <= 1, got [", ratio.low, ", ", ratio.high, "]");
        require(smallest >= 0, "BlockMask: smallest must be at least 1 patch, or 0 for a third of the grid's side, got ", smallest);
        require(aspect.low > 0 && aspect.low <= aspect.high && aspect.high < std::numeric_limits<double>::infinity(),
                "BlockMask: aspect must be 0 < low <= high, got [", aspect.low, ", ", aspect.high, "]");
    }

    std::vector<bool> operator()(std::int64_t rows, std::int64_t columns, random::Stream draw) const {
        check();
        require(rows >= 1 && columns >= 1, "BlockMask: the grid needs at least one patch, got ", rows, " x ", columns);
        const std::int64_t patches = rows * columns;
        Grid grid{rows, columns, std::vector<bool>(static_cast<std::size_t>(patches))};
        if (!draw.chance(probability) || patches == 1) return grid.masked;
        const double share = draw.uniform(ratio.low, ratio.high);
        std::int64_t left = std::llround(share * static_cast<double>(patches));
        left = std::clamp(left, std::int64_t{1}, patches - 1);
        const std::int64_t third = std::max<std::int64_t>(1, std::min(rows, columns) / 3);
        const std::int64_t least = smallest > 0 ? smallest : third * third;
        while (left >= least) {
            const std::int64_t more = mask_block(grid, least, left, draw);
            if (more == 0) break;
            left -= more;
        }
        for (; left > 0; --left) grow(grid, draw);
        return grid.masked;
    }

private:
    struct Grid {
        std::int64_t rows, columns;
        std::vector<bool> masked;

        std::size_t at(std::int64_t row, std::int64_t column) const {
            return static_cast<std::size_t>(row * columns + column);
        }
        bool has(std::int64_t row, std::int64_t column) const {
            return row >= 0 && row < rows && column >= 0 && column < columns && masked[at(row, column)];
        }
    };

    /// Masks a block of at least `least` patches that adds at most `most`. Returns how many it adds; 0 if none of 10 fits.
    std::int64_t mask_block(Grid& grid, std::int64_t least, std::int64_t most, random::Stream& draw) const {
        const double low = std::log(aspect.low), high = std::log(aspect.high);
        for (int attempt = 0; attempt < 10; ++attempt) {
            const double area = draw.uniform(static_cast<double>(least), static_cast<double>(most));
            const double shape = std::exp(draw.uniform(low, high));
            const double h = std::nearbyint(std::sqrt(area * shape)), w = std::nearbyint(std::sqrt(area / shape));
            if (h < 1 || h >= static_cast<double>(grid.rows)) continue;
            if (w < 1 || w >= static_cast<double>(grid.columns)) continue;
            const auto height = static_cast<std::int64_t>(h), width = static_cast<std::int64_t>(w);
            if (height * width < least) continue;
            const auto upto = [&](std::int64_t n) {
                return static_cast<std::int64_t>(draw.below(static_cast<std::uint64_t>(n) + 1));
            };
            const std::int64_t top = upto(grid.rows - height), side = upto(grid.columns - width);
            std::int64_t added = 0;
            for (std::int64_t r = top; r < top + height; ++r)
                for (std::int64_t c = side; c < side + width; ++c) added += grid.masked[grid.at(r, c)] ? 0 : 1;
            if (added == 0 || added > most) continue;
            for (std::int64_t r = top; r < top + height; ++r)
                for (std::int64_t c = side; c < side + width; ++c) grid.masked[grid.at(r, c)] = true;
            return added;
        }
        return 0;
    }

    /// Masks one more patch: a neighbor of a masked one, or any patch if none is masked yet.
    static void grow(Grid& grid, random::Stream& draw) {
        std::vector<std::size_t> free;
        for (std::int64_t r = 0; r < grid.rows; ++r)
            for (std::int64_t c = 0; c < grid.columns; ++c)
                if (!grid.has(r, c) &&
                    (grid.has(r - 1, c) || grid.has(r + 1, c) || grid.has(r, c - 1) || grid.has(r, c + 1)))
                    free.push_back(grid.at(r, c));
        const std::size_t chosen = draw.below(free.empty() ? grid.masked.size() : free.size());
        grid.masked[free.empty() ? chosen : free[chosen]] = true;
    }
};

}  // namespace doppel::augment
