// SPDX-License-Identifier: Apache-2.0
#include <doppel/losses/sinkhorn.hpp>

#include "support/sinkhorn.hpp"
#include "support/torch_support.hpp"

#include <sstream>

using namespace doppel;
using namespace doppel::test;
using losses::Sinkhorn;
using losses::sinkhorn;

TEST_CASE("Sinkhorn's assignments are lightly's, the authors' and the definition's") {
    for (const std::int64_t rows : {6, 4})
        for (const auto& o : {Sinkhorn{}, Sinkhorn{.epsilon = 0.2, .iterations = 1}, Sinkhorn{.iterations = 20}}) {
            const std::int64_t columns = rows == 6 ? 4 : 9;
            std::ostringstream name;
            name << "sinkhorn_" << rows << 'x' << columns << '_' << o.epsilon << '_' << o.iterations;
            INFO(name.str());
            const Tensor scores = chirp({rows, columns}, 0.21, 0.4), q = sinkhorn(scores, o);
            const auto stored = fixture("swav.txt", name.str());
            const Tensor expected = at::tensor(stored.at("q"), at::kDouble).view({rows, columns});
            CHECK(largest_difference(q, expected) < 1e-12);
            CHECK(largest_difference(sinkhorn(scores.to(at::kFloat), o), expected) < 2e-5);
            const Rows plain = sinkhorn_by_definition(numbers(scores), o.epsilon, static_cast<int>(o.iterations));
            for (std::size_t i = 0; i < plain.size(); ++i)
                for (std::size_t k = 0; k < plain[i].size(); ++k)
                    CHECK(numbers(q)[i][k] == Approx(plain[i][k]).margin(1e-12));
        }
}

TEST_CASE("Sinkhorn: rows sum to 1, columns come near B/K, a shift of all scores changes nothing") {
    const Tensor scores = chirp({24, 8}, 0.21, 0.4) * 0.3;
    const Tensor q = sinkhorn(scores);
    CHECK(largest_difference(q.sum(1), at::ones({24}, at::kDouble)) < 1e-12);
    CHECK(largest_difference(q.sum(0), at::full({8}, 3.0)) < 0.3);
    CHECK(largest_difference(sinkhorn(scores, {.iterations = 200}).sum(0), at::full({8}, 3.0)) < 1e-6);
    CHECK(q.min().item<double>() >= 0);
    for (const double shift : {-1000.0, -3.0, 40.0, 1000.0})
        CHECK(largest_difference(sinkhorn(scores + shift), q) < 1e-9);
    CHECK(largest_difference(sinkhorn(at::zeros({24, 8})), at::full({24, 8}, 0.125)) < 1e-6);  // nothing to tell apart
    // exp() of 1/0.05 passes the largest half number, 65504.
    for (const auto type : {at::kHalf, at::kBFloat16}) {
        const Tensor half = sinkhorn(scores.to(type));
        CHECK(half.scalar_type() == at::kFloat);
        CHECK(largest_difference(half, q) < (type == at::kHalf ? 0.01 : 0.1));
    }
    for (const double large : {1.0, 100.0, 1e6}) {
        const Tensor far = sinkhorn(chirp({24, 8}, 0.21, 0.4, at::kFloat) * large);
        CHECK(far.isfinite().all().item<bool>());
        CHECK(largest_difference(far.sum(1), at::ones({24})) < 1e-5);
    }
    CHECK(!sinkhorn(leaf(scores)).requires_grad());
    says([&] { sinkhorn(scores, {.epsilon = 0}); }, {"sinkhorn", "epsilon", "0"});
    says([&] { sinkhorn(scores, {.iterations = 0}); }, {"sinkhorn", "iterations", "0"});
    says([&] { sinkhorn(scores[0]); }, {"sinkhorn", "[B, K]", "[8]"});
}

TEST_CASE("Sinkhorn: rows that do not count change nothing and become 0") {
    const Tensor s = at::randn({6, 5}, at::kDouble);
    const Tensor all = at::cat({s, s.narrow(0, 0, 2) + 9}), counted = at::tensor({1, 1, 1, 1, 1, 1, 0, 0});
    const Tensor q = losses::sinkhorn(all, {.epsilon = 0.1}, counted);
    CHECK(at::allclose(q.narrow(0, 0, 6), losses::sinkhorn(s, {.epsilon = 0.1}), 1e-12, 1e-14));
    CHECK(q.narrow(0, 6, 2).abs().max().item<double>() == 0);
    CHECK(at::equal(losses::sinkhorn(s, {.epsilon = 0.1}, at::ones({6})), losses::sinkhorn(s, {.epsilon = 0.1})));
    CHECK_THROWS_AS(losses::sinkhorn(s, {}, at::ones({5})), Error);
}
