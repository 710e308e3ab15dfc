// SPDX-License-Identifier: Apache-2.0
// device::RowSums: tiles of a matrix add up to the log-sum-exp of its rows, with and without kernels.
#include <doppel/device/row_sums.hpp>

#include "support/device_lists.hpp"
#include "support/kernels_on_cpu.hpp"

#include <limits>

using namespace doppel;
using namespace doppel::test;

TEST_CASE("RowSums of tiles is the log-sum-exp of the rows without their diagonal") {
    KernelsOnCpu backend;
    for (const bool kernels : {false, true})
        for (const std::int64_t n : {2, 7, 40, 150}) {
            const auto use = kernels ? std::make_unique<device::UseBackend>(backend) : nullptr;
            const Tensor all = chirp({n, n}, 0.013, 0.4, at::kFloat);
            Tensor wide = all.to(at::kDouble) * 5;
            const Tensor with_diagonal = wide.logsumexp(1);
            wide.fill_diagonal_(-std::numeric_limits<double>::infinity());
            for (const std::int64_t tile : {n, n < 10 ? 1 : n / 2 + 9}) {
                device::RowSums sums(n, all.options()), whole(n, all.options());
                for (std::int64_t at = 0; at < n; at += tile) {
                    const Tensor part = all.narrow(1, at, std::min(tile, n - at));
                    sums.add(part, 5, -at);
                    whole.add(part, 5);
                }
                CHECK(largest_difference(sums.log(), wide.logsumexp(1)) < 2e-6);
                CHECK(largest_difference(whole.log(), with_diagonal) < 2e-6);
            }
        }
    CHECK(backend.launches["row_sums"] > 0);
}

TEST_CASE("RowSums of rows without values, of infinite ones and of NaN") {
    KernelsOnCpu backend;
    constexpr float infinity = std::numeric_limits<float>::infinity();
    for (const bool kernels : {false, true}) {
        const auto use = kernels ? std::make_unique<device::UseBackend>(backend) : nullptr;
        device::RowSums sums(4, at::TensorOptions());
        CHECK(sums.log().eq(-infinity).all().item<bool>());
        Tensor tile = at::full({4, 3}, -infinity, at::kFloat);
        tile[1][1] = 200.0F;
        tile[2][2] = std::numeric_limits<float>::quiet_NaN();
        tile[3][0] = -200.0F;
        sums.add(tile);
        sums.add(tile, 1, 0);  // without tile[1][1] and tile[2][2]
        const Tensor log = sums.log();
        CHECK(log[0].item<float>() == -infinity);
        CHECK(log[1].item<float>() == 200);
        CHECK(log[2].isnan().item<bool>());
        CHECK(std::abs(log[3].item<float>() + 200 - std::log(2.0F)) < 1e-4);
        says([&] { sums.add(at::zeros({3, 3}, at::kFloat)); }, {"RowSums: a tile must be float32 [4, columns]", "[3, 3]"});
        says([&] { sums.add(at::zeros({4, 3}, at::kDouble)); }, {"RowSums:", "Double"});
    }
}
