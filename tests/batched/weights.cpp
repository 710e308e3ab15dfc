// SPDX-License-Identifier: Apache-2.0
#include <doppel/batched/weights.hpp>

#include "support/torch_support.hpp"

#include <algorithm>
#include <random>

using namespace doppel;
using batched::FixedWeights;

TEST_CASE("sums in fixed point are rounded as integers are, for every split of the weights") {
    std::mt19937 random(1);
    for (const auto& [bits, low] : std::vector<std::pair<int, int>>{{22, 11}, {24, 12}, {7, 7}, {21, 7}, {1, 1}})
        for (const int in : {1, 2, 20}) {
            const std::int64_t n = 200;
            Tensor weights = at::empty({1, 3, in}, at::kDouble), x = at::empty({1, in, n}, at::kFloat);
            const int unit = (1 << std::min(bits, 22)) / in;
            for (std::int64_t i = 0; i < weights.numel(); ++i)
                weights.data_ptr<double>()[i] = static_cast<double>(static_cast<int>(random() % static_cast<unsigned>(unit + 1)) - unit / 8);
            for (std::int64_t i = 0; i < x.numel(); ++i) x.data_ptr<float>()[i] = static_cast<float>(random() % 256);
            for (const bool clamped : {false, true}) {
                const Tensor got = FixedWeights(weights, bits, low, clamped)(x);
                REQUIRE(got.sizes() == at::IntArrayRef({1, 3, n}));
                int wrong = 0;
                for (int o = 0; o < 3; ++o)
                    for (int k = 0; k < n; ++k) {
                        std::int64_t sum = std::int64_t{1} << (bits - 1);
                        for (int i = 0; i < in; ++i)
                            sum += static_cast<std::int64_t>(weights[0][o][i].item<double>()) * static_cast<std::int64_t>(x[0][i][k].item<float>());
                        sum >>= bits;
                        wrong += got[0][o][k].item<float>() != static_cast<float>(clamped ? std::clamp<std::int64_t>(sum, 0, 255) : sum);
                    }
                INFO(bits << " bits, " << low << " of them low, " << in << " inputs");
                CHECK(wrong == 0);
            }
        }
}

TEST_CASE("weights along x come before those along y, of images that are not square") {
    Tensor x = at::arange(2 * 2 * 2 * 3).remainder(7).view({2, 2, 2, 3}).to(at::kFloat);
    const Tensor right = at::tensor({0., 0., 1., 0., 1., 0.}).view({1, 2, 3}).expand({2, 2, 3}), down = at::tensor({0., 1.}).view({1, 1, 2}).expand({2, 1, 2});
    const Tensor got = batched::along_both(x, {FixedWeights(right * 128, 7, 7)}, {FixedWeights(down * 128, 7, 7)});
    REQUIRE(got.sizes() == at::IntArrayRef({2, 2, 1, 2}));
    CHECK(got.is_contiguous());
    CHECK(at::equal(got, at::stack({x.select(3, 2), x.select(3, 1)}, 3).narrow(2, 1, 1)));
}
