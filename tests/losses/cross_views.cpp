// SPDX-License-Identifier: Apache-2.0
#include <doppel/losses/detail/cross_views.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("cross-entropy between views: globals times (views − 1) terms, never a view with itself") {
    const std::int64_t rows = 3, classes = 4;
    std::vector<Tensor> p, log_q;
    for (int v = 0; v < 4; ++v) {
        log_q.push_back(chirp({rows, classes}, 0.3 + 0.1 * v, 0.2).log_softmax(1));
        p.push_back(v < 2 ? chirp({rows, classes}, 0.5 - 0.1 * v, 0.4).softmax(1) : Tensor{});
    }
    double sum = 0;
    int terms = 0;
    for (std::size_t t = 0; t < 2; ++t)
        for (std::size_t o = 0; o < 4; ++o) {
            if (o == t) continue;
            ++terms;
            const auto a = numbers(p[t]), b = numbers(log_q[o]);
            for (std::size_t i = 0; i < a.size(); ++i)
                for (std::size_t k = 0; k < a[i].size(); ++k) sum -= a[i][k] * b[i][k] / static_cast<double>(rows);
        }
    CHECK(terms == 2 * (4 - 1));
    CHECK(losses::detail::cross_entropy_of_views("test", p, log_q).item<double>() == Approx(sum / terms).epsilon(1e-12));
    // One global view and no other: nothing to compare.
    CHECK(mentions(message_of([&] { losses::detail::cross_entropy_of_views("test", {p[0]}, {log_q[0]}); }), {"another view"}));
}
