// SPDX-License-Identifier: Apache-2.0
#include <doppel/core/random.hpp>

#include "support/support.hpp"

#include <set>

using namespace doppel;
using random::Purpose;
using random::Stream;

TEST_CASE("Philox gives the published known answers") {
    // Random123's known-answer tests for philox4x32-10 (Salmon et al. 2011)
    CHECK(random::philox({0, 0, 0, 0}, {0, 0}) == std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    CHECK(random::philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
          std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    CHECK(random::philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
          std::array<std::uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("streams of different addresses differ, equal addresses give equal streams") {
    std::set<std::uint64_t> firsts;
    int streams = 0;
    for (std::uint64_t seed : {0ull, 1ull, 1ull << 40})
        for (auto purpose : {Purpose::view, Purpose::order})
            for (std::uint64_t epoch : {0ull, 1ull})
                for (std::uint64_t index : {0ull, 1ull, (1ull << 32)})
                    for (std::uint64_t view : {0ull, 1ull}) {
                        const Stream::Address at{seed, purpose, epoch, index, view};
                        Stream a(at), b(at);
                        const auto first = std::uint64_t{a.bits()} << 32 | a.bits();
                        CHECK(first == (std::uint64_t{b.bits()} << 32 | b.bits()));
                        firsts.insert(first);
                        ++streams;
                    }
    CHECK(static_cast<int>(firsts.size()) == streams);
}

TEST_CASE("uniform, below and normal have the moments that they should") {
    Stream draw({.seed = 1});
    double sum = 0, squares = 0, normal = 0, normal_squares = 0;
    std::array<int, 7> counts{};
    const int n = 70000;
    for (int i = 0; i < n; ++i) {
        const double u = draw.uniform(), z = draw.normal();
        REQUIRE((u >= 0 && u < 1));
        sum += u, squares += u * u, normal += z, normal_squares += z * z;
        ++counts[draw.below(7)];
    }
    CHECK(sum / n == Approx(0.5).margin(0.005));
    CHECK(squares / n == Approx(1.0 / 3).margin(0.005));
    CHECK(normal / n == Approx(0).margin(0.015));
    CHECK(normal_squares / n == Approx(1).margin(0.025));
    for (int count : counts) CHECK(count == Approx(n / 7).margin(450));
}

TEST_CASE("shuffle gives each permutation of three about equally often") {
    std::array<int, 6> counts{};
    for (std::uint64_t i = 0; i < 6000; ++i) {
        Stream draw({.seed = 2, .index = i});
        std::vector<int> items{0, 1, 2};
        draw.shuffle(items);
        ++counts[static_cast<std::size_t>(items[0] * 2 + (items[1] > items[2]))];
    }
    for (int count : counts) CHECK(count == Approx(1000).margin(130));
}
