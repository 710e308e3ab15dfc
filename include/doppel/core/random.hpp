// SPDX-License-Identifier: Apache-2.0
// Counter-based random numbers: a draw depends on its address only, never on earlier draws.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <utility>

namespace doppel::random {

/// The purpose of a stream. Streams of different purposes are independent, even with the same seed.
enum class Purpose : std::uint32_t {
    weights = 1,
    order = 2,
    view = 3,
    scene = 4,
    split = 5,
    shuffle = 6,
    mask = 7,
    step = 8,
    user = 1000
};

/// Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
/// A bijection of a 128-bit counter under a 64-bit key.
constexpr std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
    for (int round = 0; round < 10; ++round) {
        const auto a = std::uint64_t{0xD2511F53} * counter[0];
        const auto b = std::uint64_t{0xCD9E8D57} * counter[2];
        counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
                   static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
        key[0] += 0x9E3779B9;
        key[1] += 0xBB67AE85;
    }
    return counter;
}

/// An independent stream for each (seed, purpose, epoch, index, view): the same on every machine and for any number of
/// threads. Streams with different addresses never overlap.
///
/// Ranges: index < 2^48, view < 2^16, epoch < 2^32; 2^34 draws per stream.
///
///     random::Stream draw({.seed = 1, .epoch = 3, .index = 17, .view = 1});
///     double area = draw.uniform(0.08, 1.0);
class Stream {
public:
    struct Address {
        std::uint64_t seed = 0;
        Purpose purpose = Purpose::view;
        std::uint64_t epoch = 0, index = 0, view = 0;
    };

    explicit Stream(const Address& at)
        : key_{philox({static_cast<std::uint32_t>(at.seed), static_cast<std::uint32_t>(at.seed >> 32),
                       static_cast<std::uint32_t>(at.purpose), 0}, {0x646F7070, 0x656C0000})},
          counter_{static_cast<std::uint32_t>(at.index),
                   static_cast<std::uint32_t>(at.index >> 32) << 16 | static_cast<std::uint32_t>(at.view & 0xFFFF),
                   static_cast<std::uint32_t>(at.epoch), 0} {}

    /// Returns 32 random bits.
    std::uint32_t bits() {
        if (used_ == 4) {
            block_ = philox(counter_, {key_[0], key_[1]});
            ++counter_[3];
            used_ = 0;
        }
        return block_[used_++];
    }

    /// Returns a uniform number in [0, 1) with 53 random bits.
    double uniform() {
        const std::uint64_t high = bits(), low = bits();
        return static_cast<double>((high << 32 | low) >> 11) * 0x1p-53;
    }

    /// Returns a uniform number in [from, to).
    double uniform(double from, double to) { return from + (to - from) * uniform(); }

    /// Returns a uniform integer in [0, n), n ≥ 1, without bias.
    std::uint64_t below(std::uint64_t n) {
        const std::uint64_t limit = UINT64_MAX - UINT64_MAX % n;
        for (;;) {
            const std::uint64_t high = bits(), low = bits(), value = high << 32 | low;
            if (value < limit) return value % n;
        }
    }

    /// Returns true with probability p.
    bool chance(double p) { return uniform() < p; }

    /// Returns a standard normal number (Box–Muller, one of the pair).
    double normal() {
        const double radius = std::sqrt(-2 * std::log(1 - uniform()));
        return radius * std::cos(2 * std::numbers::pi * uniform());
    }

    /// Shuffles a random-access range in place (Fisher–Yates).
    template <class Range>
    void shuffle(Range& items) {
        for (std::size_t left = items.size(); left > 1; --left) std::swap(items[left - 1], items[below(left)]);
    }

private:
    std::array<std::uint32_t, 4> key_, counter_, block_{};
    std::size_t used_ = 4;
};

}  // namespace doppel::random
