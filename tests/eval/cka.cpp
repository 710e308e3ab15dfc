// SPDX-License-Identifier: Apache-2.0
#include <doppel/eval/cka.hpp>

#include "support/feature_rows.hpp"

using namespace doppel;
using namespace doppel::test;
using doppel::eval::linear_cka;

TEST_CASE("linear CKA is that of centered Gram matrices, by numpy") {
    const auto expected = fixture("measures.txt", "cka");
    const Tensor tall = tall_features(), wide = wide_features();
    const auto check = [&](const std::string& name, const Tensor& a, const Tensor& b) {
        INFO(name);
        CHECK(linear_cka(a, b) == Approx(expected.at(name)[0]).epsilon(1e-10));
        CHECK(linear_cka(b, a) == Approx(expected.at(name)[0]).epsilon(1e-10));
        CHECK(linear_cka(a, b, {.debiased = true}) == Approx(expected.at(name + "_debiased")[0]).epsilon(1e-9));
        CHECK(linear_cka(a.to(at::kFloat), b.to(at::kFloat)) == Approx(expected.at(name)[0]).epsilon(1e-5));
    };
    check("far", tall, feature_rows(120, 7, 0.29, 0.4));
    check("near", tall, (2 * tall).tanh().narrow(1, 0, 9));
    check("wide", wide, feature_rows(9, 20, 0.29, 0.4));
}

TEST_CASE("linear CKA does not see rotations, scales and shifts") {
    const Tensor a = tall_features(), turned = 3 * a.mm(rotation(12, 1)) - 7;
    CHECK(linear_cka(a, turned) == Approx(1).epsilon(1e-12));
    CHECK(linear_cka(a, turned, {.debiased = true}) == Approx(1).epsilon(1e-12));
}

TEST_CASE("linear CKA of few images is high for features with nothing in common, unless it is debiased") {
    const Tensor a = normal_rows({60, 400}, 1), b = normal_rows({60, 400}, 2);
    CHECK(linear_cka(a, b) > 0.8);
    CHECK(std::abs(linear_cka(a, b, {.debiased = true})) < 0.05);
}

TEST_CASE("linear CKA of many rows is summed in portions") {
    const Tensor a = normal_rows({9000, 5}, 1).to(at::kDouble), b = a.mm(normal_rows({5, 3}, 2).to(at::kDouble)) + normal_rows({9000, 3}, 3).to(at::kDouble);
    const Tensor x = a - a.mean(0, true), y = b - b.mean(0, true);
    const auto squares = [](const Tensor& p, const Tensor& q) { return p.t().mm(q).square().sum().item<double>(); };
    CHECK(linear_cka(a, b) == Approx(squares(x, y) / std::sqrt(squares(x, x) * squares(y, y))).epsilon(1e-12));
}

TEST_CASE("linear CKA rejects what it cannot compare") {
    const Tensor a = normal_rows({6, 3}, 1);
    CHECK(mentions(message_of([&] { linear_cka(a, normal_rows({5, 3}, 1)); }), {"linear_cka", "same images", "6 and 5 rows"}));
    CHECK(mentions(message_of([&] { linear_cka(a, normal_rows({1, 4}, 1).expand({6, 4})); }), {"linear_cka", "b has the same features", "collapsed"}));
    CHECK(mentions(message_of([&] { linear_cka(at::zeros({6, 2}), a); }), {"linear_cka", "a has the same features"}));
    CHECK(mentions(message_of([&] { linear_cka(a.narrow(0, 0, 3), a.narrow(0, 0, 3), {.debiased = true}); }), {"at least 4"}));
    CHECK(mentions(message_of([&] { linear_cka(damaged_features(), a); }), {"rows of a", "NaN"}));
}
