// SPDX-License-Identifier: Apache-2.0
#include <doppel/eval/pca.hpp>

#include "support/feature_rows.hpp"

using namespace doppel;
using namespace doppel::test;
using doppel::eval::fit_pca;

TEST_CASE("principal components are scikit-learn's, with their signs") {
    const auto expected = fixture("measures.txt", "pca");
    for (const std::string name : {"tall", "wide"}) {
        INFO(name);
        const Tensor rows = name == "tall" ? tall_features() : wide_features();
        const auto pca = fit_pca(rows, 3);
        check_close(pca.components, expected.at(name + "_components"), 1e-10);
        check_close(pca.variances, expected.at(name + "_variances"), 1e-12);
        CHECK(pca.share() == Approx(expected.at(name + "_share")[0]).epsilon(1e-12));
        check_close(pca.project(rows.narrow(0, 0, 4)), expected.at(name + "_projected"), 1e-10);
        check_close(fit_pca(rows.to(at::kFloat), 3).components, expected.at(name + "_components"), 1e-4);
    }
}

TEST_CASE("all components give the features back") {
    for (const Tensor& rows : {tall_features(), normal_rows({9000, 4}, 1)}) {
        const auto pca = fit_pca(rows, rows.size(1));
        CHECK(pca.share() == Approx(1).epsilon(1e-12));
        CHECK(largest_difference(pca.project(rows).mm(pca.components) + pca.mean, rows) < 1e-6);
        CHECK(largest_difference(pca.components.mm(pca.components.t()), at::eye(rows.size(1))) < 1e-12);
    }
}

TEST_CASE("components without variance are zeros") {
    for (const std::int64_t d : {3, 20}) {  // one direction, in fewer and in more dimensions than rows
        const auto pca = fit_pca(normal_rows({6, 1}, 1).to(at::kDouble).mm(normal_rows({1, d}, 2).to(at::kDouble)), 3);
        CHECK(pca.share() == Approx(1).epsilon(1e-12));
        CHECK(pca.variances.narrow(0, 1, 2).abs().max().item<double>() == 0);
        CHECK(pca.components.narrow(0, 1, 2).abs().max().item<double>() == 0);
        CHECK(pca.components[0].norm().item<double>() == Approx(1));
    }
    CHECK(fit_pca(at::ones({6, 20}), 2).share() == 0);
    CHECK(fit_pca(at::ones({6, 20}), 2).project(at::ones({6, 20})).abs().max().item<double>() == 0);
}

TEST_CASE("a principal component analysis rejects what it cannot do") {
    CHECK(mentions(message_of([] { fit_pca(at::ones({4, 9}), 5); }), {"fit_pca", "4 rows of 9", "1 to 4", "k = 5"}));
    CHECK(mentions(message_of([] { fit_pca(at::ones({4, 9}), 0); }), {"fit_pca", "k = 0"}));
    CHECK(mentions(message_of([] { fit_pca(damaged_features(), 2); }), {"fit_pca", "NaN"}));
    CHECK(mentions(message_of([] { fit_pca(normal_rows({4, 9}, 1), 2).project(at::ones({3, 8})); }), {"project", "9 dimensions", "got 8"}));
}
