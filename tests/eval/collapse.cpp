// SPDX-License-Identifier: Apache-2.0
// Collapse measures on features whose values are known.
#include <doppel/eval/collapse.hpp>

#include <cmath>

#include "support/support.hpp"  // after torch, which has a CHECK of its own

namespace {

using doppel::Tensor;
using doppel::eval::effective_rank;
using doppel::eval::feature_std;
using doppel::test::mentions;
using doppel::test::message_of;

Tensor normal(at::IntArrayRef shape, std::uint64_t seed) {
    at::manual_seed(seed);
    return at::randn(shape);
}

}  // namespace

TEST_CASE("feature_std is 0 for collapsed features, whatever their lengths") {
    const Tensor direction = normal({1, 64}, 1), lengths = normal({50, 1}, 2).abs() + 0.1;
    CHECK(feature_std(direction.expand({50, 64})).item<double>() == Approx(0).margin(1e-7));
    CHECK(feature_std(direction * lengths).item<double>() == Approx(0).margin(1e-7));
    CHECK(feature_std(at::zeros({5, 64})).item<double>() == 0);
}

TEST_CASE("feature_std is 1/sqrt(D) for directions drawn evenly") {
    for (const std::int64_t dim : {128, 512}) {
        const double healthy = 1 / std::sqrt(static_cast<double>(dim));
        CHECK(feature_std(normal({2000, dim}, 3)).item<double>() == Approx(healthy).epsilon(0.02));
    }
}

TEST_CASE("feature_std of a case worked out by hand") {
    // unit rows (1, 0) and (0.6, 0.8): deviations 0.4/sqrt 2 and 0.8/sqrt 2
    const Tensor z = at::tensor({2.0, 0.0, 3.0, 4.0}, at::kDouble).view({2, 2});
    CHECK(feature_std(z).item<double>() == Approx(0.6 / std::sqrt(2.0)).epsilon(1e-14));
    CHECK(feature_std(z).scalar_type() == at::kDouble);
    CHECK(feature_std(z.to(at::kBFloat16)).scalar_type() == at::kFloat);
}

TEST_CASE("feature_std carries no gradient, and says which shape or type is wrong") {
    CHECK(!feature_std(normal({4, 3}, 5).set_requires_grad(true)).requires_grad());
    CHECK(mentions(message_of([] { feature_std(at::ones({1, 3})); }), {"feature_std", "[N, D]", "got [1, 3]"}));
    CHECK(mentions(message_of([] { feature_std(at::ones({2, 3, 4})); }), {"feature_std", "got [2, 3, 4]"}));
    CHECK(mentions(message_of([] { feature_std(at::ones({2, 3}, at::kLong)); }), {"floating", "Long"}));
}

TEST_CASE("CollapseWatch says once, after a tenth of the run, that embeddings have collapsed") {
    const auto looks = [](auto&& embeddings_of) {
        doppel::eval::CollapseWatch watch(1000);
        std::vector<std::int64_t> said;
        for (std::int64_t step = 0; step < 1000; ++step)
            if (watch.due(step))
                if (const auto seen = watch.look(embeddings_of(step)); seen.warning) said.push_back(step);
        CHECK(watch.collapsed() == !said.empty());
        return said;
    };
    using Steps = std::vector<std::int64_t>;
    const Tensor healthy = normal({64, 16}, 1), direction = normal({1, 16}, 2);
    CHECK(looks([&](std::int64_t) { return healthy; }).empty());
    CHECK(looks([&](std::int64_t) { return direction + 0.01 * healthy; }) == Steps{99});  // all one way
    CHECK(looks([&](std::int64_t) { return direction.expand({64, 16}); }) == Steps{99});  // exactly
    CHECK(looks([&](std::int64_t) { return at::zeros({64, 16}); }) == Steps{99});
    // on one line through the origin: spread enough, but of one dimension
    CHECK(looks([&](std::int64_t) { return healthy.narrow(1, 0, 1) * direction + 0.001 * healthy; }) == Steps{99});
    // a slow start is not a collapse
    CHECK(looks([&](std::int64_t step) { return step < 80 ? direction + 0.01 * healthy : healthy; }).empty());
    CHECK(looks([&](std::int64_t step) { return step < 500 ? healthy : direction + 0.01 * healthy; }) == Steps{599});
}

TEST_CASE("CollapseWatch measures what feature_std and effective_rank of the centered unit rows give") {
    for (const auto& shape : {std::vector<std::int64_t>{12, 40}, {40, 12}}) {
        const Tensor z = normal(shape, 3), unit = z / z.norm(2, 1, true);
        const auto seen = doppel::eval::CollapseWatch(100).look(z);
        CHECK(seen.std == Approx(feature_std(z).item<double>()).epsilon(1e-5));
        CHECK(seen.rank == Approx(effective_rank(unit - unit.mean(0, true)).item<double>()).epsilon(1e-3));
        double cosines = 0;
        for (std::int64_t i = 0; i < z.size(0); ++i)
            for (std::int64_t j = 0; j < z.size(0); ++j)
                if (i != j) cosines += at::cosine_similarity(z[i], z[j], 0).item<double>();
        CHECK(seen.cos == Approx(cosines / static_cast<double>(z.size(0) * (z.size(0) - 1))).margin(1e-6));
        CHECK(!seen.warning);
    }
}
