// SPDX-License-Identifier: Apache-2.0
// device::each_launch: which block works on which part of which tensor.
#include <doppel/device/tensor_list.hpp>

#include "support/device_lists.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("each_launch covers every element once, in as few launches as their parameters hold") {
    const std::vector<std::int64_t> sizes{0, 5, 0, 0, 17, 8, 1, 0};
    std::vector<std::int64_t> all;
    for (int i = 0; i < 60; ++i) all.insert(all.end(), sizes.begin(), sizes.end());
    std::vector<int> covered(all.size(), 0);
    int launches = 0;
    device::each_launch<2>(
        all.size(), 8, [&](std::size_t i) { return all[i]; }, [](std::size_t l, std::size_t i) { return reinterpret_cast<void*>(1000 * l + i); },
        [&](const device::Lists<2>& lists, unsigned blocks, std::size_t first) {
            ++launches;
            CHECK(lists.first_block[lists.tensors] == blocks);
            for (int t = 0; t < lists.tensors; ++t) {
                const auto i = first + static_cast<std::size_t>(t);
                CHECK(lists.at[0][t] == reinterpret_cast<void*>(i));
                CHECK(lists.at[1][t] == reinterpret_cast<void*>(1000 + i));
                CHECK(lists.size[t] == all[i]);
                CHECK(lists.first_block[t + 1] - lists.first_block[t] == (all[i] + 7) / 8);
                ++covered[i];
            }
        });
    CHECK(launches == 3);  // 480 pairs
    CHECK(covered == std::vector<int>(all.size(), 1));
    device::each_launch<2>(
        3, 8, [](std::size_t) { return 0; }, [](std::size_t, std::size_t) { return nullptr; },
        [](const device::Lists<2>&, unsigned, std::size_t) { FAIL("a launch without blocks"); });
}

TEST_CASE("a launch's parameters fit into 4096 bytes, with a hundred tensors and more") {
    CHECK(sizeof(device::Lists<1>) <= 4000);
    CHECK(sizeof(device::Lists<5>) <= 4000);
    CHECK(sizeof(device::NormalizedViews) <= 4096);
    CHECK(device::Lists<1>::most == 245u);
    CHECK(device::Lists<2>::most == 163u);
    CHECK(device::Lists<3>::most == 122u);
    CHECK(device::Lists<5>::most == 81u);
}

TEST_CASE("tensors fit where kernels may go through them as memory") {
    using device::detail::same_places;
    const Tensor a = wave({2, 3, 4, 4}, 0.7, 0.3, at::kFloat);
    CHECK(same_places(a, a.clone()));
    CHECK_FALSE(same_places(a, a.contiguous(at::MemoryFormat::ChannelsLast)));
    CHECK_FALSE(same_places(a, a.narrow(0, 0, 1)));
    CHECK_FALSE(same_places(a.slice(2, 0, 2), a.slice(2, 0, 2)));
    CHECK(same_places(a.slice(0, 1), a.slice(0, 1)));
    CHECK(same_places(a.narrow(1, 0, 1).contiguous(at::MemoryFormat::ChannelsLast), a.narrow(1, 0, 1).contiguous()));
    CHECK(device::detail::fits({{a}, {a}}, 0));
    CHECK_FALSE(device::detail::fits({{a}, {a.to(at::kDouble)}}, 0));
    CHECK_FALSE(device::detail::all_fit({{a}, {a}}));  // no kernels on the CPU
}
