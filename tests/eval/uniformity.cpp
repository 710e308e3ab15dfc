// SPDX-License-Identifier: Apache-2.0
#include <doppel/eval/uniformity.hpp>

#include "support/feature_rows.hpp"

using namespace doppel;
using namespace doppel::test;
using doppel::eval::alignment;
using doppel::eval::uniformity;

TEST_CASE("alignment and uniformity are those of the definition, by scipy") {
    const auto expected = read_fixture("measures.txt", 2);
    const Tensor a = tall_features(), b = feature_rows(120, 12, 0.29, 0.4);
    CHECK(alignment(a, b) == Approx(expected.at("alignment power2")[0]).epsilon(1e-12));
    CHECK(alignment(a, b, 1) == Approx(expected.at("alignment power1")[0]).epsilon(1e-12));
    CHECK(uniformity(a) == Approx(expected.at("uniformity t2")[0]).epsilon(1e-12));
    CHECK(uniformity(a, 0.5) == Approx(expected.at("uniformity t0.5")[0]).epsilon(1e-12));
    CHECK(uniformity(a.to(at::kFloat)) == Approx(uniformity(a)).epsilon(1e-5));
    CHECK(alignment(a.to(at::kFloat), b.to(at::kFloat)) == Approx(alignment(a, b)).epsilon(1e-5));
}

TEST_CASE("uniformity by tiles is uniformity of all pairs") {
    const Tensor rows = normal_rows({2500, 6}, 1).to(at::kDouble);  // three tiles a side, the last one smaller
    const Tensor unit = rows / rows.norm(2, 1, true);
    const Tensor similar = ((2 - 2 * unit.mm(unit.t())) * -2).exp();
    const double mean = (similar.sum().item<double>() - 2500) / (2500.0 * 2499);
    CHECK(uniformity(rows) == Approx(std::log(mean)).epsilon(1e-12));
}

TEST_CASE("alignment and uniformity at their ends") {
    const Tensor a = normal_rows({50, 8}, 2), lengths = normal_rows({50, 1}, 3).abs() + 0.1;
    CHECK(alignment(a, a * lengths) == Approx(0).margin(1e-12));
    CHECK(alignment(a, -a) == Approx(4).epsilon(1e-6));
    CHECK(uniformity(a.narrow(0, 0, 1) * lengths) == Approx(0).margin(1e-5));  // one direction
    CHECK(uniformity(normal_rows({2000, 512}, 4)) == Approx(-4).epsilon(0.01));     // directions of many dimensions
    const Tensor two = at::tensor({1.0, 0.0, -2.0, 0.0}, at::kDouble).view({2, 2});
    CHECK(uniformity(two, 500) == Approx(-2000).epsilon(1e-12));  // exp would be 0
}

TEST_CASE("alignment and uniformity reject what they cannot measure") {
    const Tensor a = normal_rows({4, 3}, 1);
    CHECK(mentions(message_of([&] { alignment(a, normal_rows({5, 3}, 1)); }), {"alignment", "one shape", "[4, 3]", "[5, 3]"}));
    CHECK(mentions(message_of([&] { alignment(a, a, 0); }), {"power", "above 0"}));
    CHECK(mentions(message_of([&] { alignment(a, damaged_features(5, 3)); }), {"alignment", "rows of b", "NaN"}));
    CHECK(mentions(message_of([&] { uniformity(a, -1); }), {"uniformity", "t must be above 0"}));
    CHECK(mentions(message_of([&] { uniformity(a.narrow(0, 0, 1)); }), {"uniformity", "at least 2"}));
    CHECK(mentions(message_of([&] { uniformity(damaged_features()); }), {"uniformity", "NaN"}));
}
