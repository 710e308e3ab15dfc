// SPDX-License-Identifier: Apache-2.0
// Block masks: how many patches they hide, and in which shapes.
#include <doppel/augment/block_mask.hpp>

#include "support/support.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <set>
#include <utility>

using namespace doppel;
using namespace doppel::test;
using augment::BlockMask;

namespace {

using Mask = std::vector<bool>;

random::Stream stream(std::uint64_t index, std::uint64_t view = 0) {
    return random::Stream({.seed = 5, .purpose = random::Purpose::mask, .epoch = 2, .index = index, .view = view});
}

std::int64_t count(const Mask& mask) { return std::count(mask.begin(), mask.end(), true); }

std::size_t place(std::int64_t row, std::int64_t column, std::int64_t columns) {
    return static_cast<std::size_t>(row * columns + column);
}

/// Sizes of the connected parts.
std::vector<std::int64_t> parts_of(Mask mask, std::int64_t rows, std::int64_t columns) {
    std::vector<std::int64_t> sizes;
    using Take = std::function<std::int64_t(std::int64_t, std::int64_t)>;
    const Take take = [&](std::int64_t r, std::int64_t c) -> std::int64_t {
        if (r < 0 || c < 0 || r >= rows || c >= columns || !mask[place(r, c, columns)]) return 0;
        mask[place(r, c, columns)] = false;
        return 1 + take(r - 1, c) + take(r + 1, c) + take(r, c - 1) + take(r, c + 1);
    };
    for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t c = 0; c < columns; ++c)
            if (const auto size = take(r, c); size > 0) sizes.push_back(size);
    return sizes;
}

/// The patches that lie in no hidden rectangle of at least `area` patches.
std::int64_t outside_blocks(const Mask& mask, std::int64_t rows, std::int64_t columns, std::int64_t area) {
    Mask covered(mask.size());
    const auto full = [&](std::int64_t r, std::int64_t c, std::int64_t h, std::int64_t w) {
        for (std::int64_t i = r; i < r + h; ++i)
            for (std::int64_t j = c; j < c + w; ++j)
                if (!mask[place(i, j, columns)]) return false;
        return true;
    };
    for (std::int64_t h = 1; h <= area; ++h) {
        const std::int64_t w = (area + h - 1) / h;
        for (std::int64_t r = 0; r + h <= rows; ++r)
            for (std::int64_t c = 0; c + w <= columns; ++c)
                if (full(r, c, h, w))
                    for (std::int64_t i = r; i < r + h; ++i)
                        for (std::int64_t j = c; j < c + w; ++j) covered[place(i, j, columns)] = true;
    }
    return count(mask) - count(covered);
}

struct Box {
    std::int64_t top = 1 << 20, left = 1 << 20, bottom = -1, right = -1;
};
Box box_of(const Mask& mask, std::int64_t columns) {
    Box box;
    for (std::size_t i = 0; i < mask.size(); ++i) {
        if (!mask[i]) continue;
        const auto r = static_cast<std::int64_t>(i) / columns, c = static_cast<std::int64_t>(i) % columns;
        box = {std::min(box.top, r), std::min(box.left, c), std::max(box.bottom, r), std::max(box.right, c)};
    }
    return box;
}

}  // namespace

TEST_CASE("a block mask is a function of grid and stream alone") {
    const BlockMask mask{.probability = 1};
    std::set<Mask> seen;
    for (std::uint64_t i = 0; i < 50; ++i) {
        CHECK(mask(14, 14, stream(i)) == mask(14, 14, stream(i)));
        CHECK(mask(14, 14, stream(i)).size() == 196);
        seen.insert(mask(14, 14, stream(i)));
        seen.insert(mask(14, 14, stream(i, 1)));  // the views of an image differ
    }
    CHECK(seen.size() == 100);
    CHECK(mask(4, 9, stream(3)).size() == 36);
}

TEST_CASE("as many patches are hidden as were drawn, at least one and never all, on small grids too") {
    struct Size {
        std::int64_t rows, columns;
    };
    const std::vector<Size> grids{{14, 14}, {16, 16}, {7, 5}, {6, 6}, {4, 4}, {3, 3},
                                  {2, 2},   {1, 6},   {5, 1}, {2, 1}, {2, 9}};
    for (const auto [rows, columns] : grids)
        for (const augment::Range ratio : {augment::Range{0.1, 0.5}, {0.3, 0.3}, {0.01, 1}, {1, 1}})
            for (std::uint64_t i = 0; i < 60; ++i) {
                INFO(rows << " x " << columns << ", ratio " << ratio.low << " … " << ratio.high << ", stream " << i);
                auto draw = stream(i);
                draw.uniform();  // whether the view is masked
                const double patches = static_cast<double>(rows * columns), share = draw.uniform(ratio.low, ratio.high);
                const double wanted = std::clamp(std::round(share * patches), 1.0, patches - 1);
                const Mask mask = BlockMask{.probability = 1, .ratio = ratio}(rows, columns, stream(i));
                CHECK(static_cast<double>(count(mask)) == wanted);
            }
    // A single patch cannot be hidden without hiding all.
    CHECK(BlockMask{.probability = 1}(1, 1, stream(0)) == Mask{false});
}

TEST_CASE("a given share of the views is masked, and the hidden share is spread over its whole range") {
    const int views = 4000;
    for (const double p : {0.0, 0.2, 0.5, 1.0}) {
        int masked = 0;
        for (std::uint64_t i = 0; i < views; ++i) masked += count(BlockMask{.probability = p}(14, 14, stream(i))) > 0;
        INFO(p << ": " << masked);
        CHECK(std::abs(masked / double{views} - p) <= 4 * std::sqrt(p * (1 - p) / views));
    }
    double sum = 0;
    std::vector<int> bins(4);
    for (std::uint64_t i = 0; i < views; ++i) {
        const double share = static_cast<double>(count(BlockMask{.probability = 1}(14, 14, stream(i)))) / 196;
        sum += share / views;
        CHECK(share >= 0.1);
        CHECK(share <= 0.5);
        ++bins[static_cast<std::size_t>(std::clamp((share - 0.1) / 0.1, 0.0, 3.0))];
    }
    CHECK(sum == Approx(0.3).margin(0.01));
    for (const int bin : bins) CHECK(bin == Approx(views / 4).margin(150));
}

TEST_CASE("what is hidden is a union of blocks") {
    const augment::Range ratio{0.1, 0.5};
    for (const std::int64_t smallest : {1, 4, 9, 16}) {
        std::int64_t hidden = 0, outside = 0, scattered = 0;
        for (std::uint64_t i = 0; i < 300; ++i) {
            const Mask mask = BlockMask{.probability = 1, .ratio = ratio, .smallest = smallest}(14, 14, stream(i));
            for (const auto size : parts_of(mask, 14, 14)) CHECK(size >= std::min(smallest, count(mask)));
            hidden += count(mask);
            outside += outside_blocks(mask, 14, 14, 4);
            Mask shuffled = mask;
            auto draw = stream(i, 7);
            for (std::size_t left = shuffled.size(); left > 1; --left) {
                const std::size_t other = draw.below(left);
                const bool value = shuffled[left - 1];
                shuffled[left - 1] = shuffled[other];
                shuffled[other] = value;
            }
            scattered += outside_blocks(shuffled, 14, 14, 4);
        }
        INFO("smallest " << smallest << ": of " << hidden << " outside " << outside << ", scattered " << scattered);
        if (smallest > 1) CHECK(outside * 20 < hidden);
        CHECK(scattered * 3 > hidden);
    }
}

TEST_CASE("a single block has the area and the height over width that were asked for, and lies anywhere") {
    struct Case {
        double aspect;
        std::int64_t height, width;
    };
    for (const auto [aspect, height, width] : {Case{1, 4, 4}, {4, 8, 2}, {0.25, 2, 8}}) {
        const augment::Range sixteen{16 / 196., 16 / 196.};
        const BlockMask mask{.probability = 1, .ratio = sixteen, .smallest = 16, .aspect = {aspect, aspect}};
        std::set<std::int64_t> tops, lefts;
        for (std::uint64_t i = 0; i < 400; ++i) {
            const Mask hidden = mask(14, 14, stream(i));
            const Box box = box_of(hidden, 14);
            CHECK(count(hidden) == 16);
            CHECK(box.bottom - box.top + 1 == height);
            CHECK(box.right - box.left + 1 == width);
            tops.insert(box.top);
            lefts.insert(box.left);
        }
        CHECK(static_cast<std::int64_t>(tops.size()) == 14 - height + 1);
        CHECK(static_cast<std::int64_t>(lefts.size()) == 14 - width + 1);
    }
}

TEST_CASE("block masks treat both directions alike and leave no place out") {
    const int views = 4000;
    std::vector<double> often(196);
    for (std::uint64_t i = 0; i < views; ++i) {
        const Mask mask = BlockMask{.probability = 1}(14, 14, stream(i));
        for (std::size_t k = 0; k < mask.size(); ++k) often[k] += mask[k] / double{views};
    }
    for (std::int64_t r = 0; r < 14; ++r)
        for (std::int64_t c = 0; c < 14; ++c) {
            INFO(r << ", " << c);
            const double here = often[place(r, c, 14)];
            CHECK(here > 0.02);
            CHECK(here < 0.6);
            CHECK(here == Approx(often[place(13 - r, c, 14)]).margin(0.05));
            CHECK(here == Approx(often[place(r, 13 - c, 14)]).margin(0.05));
            CHECK(here == Approx(often[place(c, r, 14)]).margin(0.05));
        }
}

TEST_CASE("block masks hide as much, and in as compact blocks, as lightly's") {
    // tests/reference/make_ibot_fixtures.py
    const Fixture theirs = fixture("ibot.txt", "masks");
    double hidden = 0, inner = 0, neighbors = 0;
    const int views = 2000;
    for (std::uint64_t i = 0; i < views; ++i) {
        const Mask mask = BlockMask{.probability = 1}(14, 14, stream(i));
        hidden += static_cast<double>(count(mask)) / 196 / views;
        for (std::int64_t r = 0; r < 14; ++r)
            for (std::int64_t c = 0; c < 13; ++c) {
                inner += mask[place(r, c, 14)];
                neighbors += mask[place(r, c, 14)] && mask[place(r, c + 1, 14)];
            }
    }
    REQUIRE(theirs.size() == 2);
    CHECK(hidden == Approx(theirs.at("share").at(0)).margin(0.012));  // theirs stops short by a few patches
    CHECK(neighbors / inner == Approx(theirs.at("neighbor").at(0)).margin(0.02));
}

TEST_CASE("a block mask refuses what is wrong with its options") {
    const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
    const auto refuses = [](const BlockMask& mask, std::initializer_list<std::string_view> parts) {
        const std::string message = message_of([&] { mask(4, 4, stream(0)); });
        INFO(message);
        CHECK(mentions(message, parts));
    };
    for (const double bad : {-0.1, 1.1, nan}) refuses({.probability = bad}, {"BlockMask", "p must be in [0, 1]"});
    for (const augment::Range bad : {augment::Range{0, 0.5}, {0.5, 0.4}, {0.5, 1.1}, {nan, 0.5}, {0.1, nan}})
        refuses({.ratio = bad}, {"BlockMask", "ratio", "0 < low <= high <= 1"});
    refuses({.smallest = -1}, {"BlockMask", "smallest", "at least 1 patch", "got -1"});
    for (const augment::Range bad : {augment::Range{0, 2}, {2, 1}, {1, infinity}, {nan, 1}})
        refuses({.aspect = bad}, {"BlockMask", "aspect", "0 < low <= high"});
    CHECK(mentions(message_of([] { BlockMask{}(0, 4, stream(0)); }), {"BlockMask", "at least one patch", "0 x 4"}));
    // Extreme options still come to an end.
    for (const augment::Range wild : {augment::Range{1e-200, 1e-200}, {1e200, 1e200}, {1e-300, 1e300}})
        CHECK(count(BlockMask{.probability = 1, .ratio = {0.5, 0.5}, .aspect = wild}(6, 6, stream(1))) == 18);
    CHECK(count(BlockMask{.probability = 1, .ratio = {0.5, 0.5}, .smallest = 1000000}(6, 6, stream(1))) == 18);
}

TEST_CASE("the smallest block follows the grid where its size is left to it, as in iBOT's code") {
    // (min(H, W) // 3) ** 2: 16 of 14 x 14 patches, 4 of 8 x 8, 1 of 4 x 4
    for (const auto& [side, smallest] : {std::pair<std::int64_t, std::int64_t>{14, 16}, {8, 4}, {4, 1}, {2, 1}})
        for (std::uint64_t i = 0; i < 40; ++i) {
            INFO(side << " x " << side << ", stream " << i);
            CHECK(BlockMask{.probability = 1, .smallest = 0}(side, side, stream(i)) ==
                  BlockMask{.probability = 1, .smallest = smallest}(side, side, stream(i)));
        }
    CHECK(BlockMask{.probability = 1, .smallest = 0}(9, 14, stream(1)) == BlockMask{.probability = 1, .smallest = 9}(9, 14, stream(1)));
    int differ = 0;
    for (std::uint64_t i = 0; i < 40; ++i)
        differ += BlockMask{.probability = 1, .smallest = 0}(14, 14, stream(i)) != BlockMask{.probability = 1}(14, 14, stream(i));
    CHECK(differ > 30);
}
