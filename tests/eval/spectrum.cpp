// SPDX-License-Identifier: Apache-2.0
// Effective rank and spectrum against numpy's, and on features whose spectrum is known.
#include <doppel/eval/spectrum.hpp>

#include <cmath>

#include "support/feature_rows.hpp"

using namespace doppel;
using namespace doppel::test;
using doppel::eval::effective_rank;
using doppel::eval::spectrum_of;

TEST_CASE("effective_rank counts the directions that features use") {
    CHECK(effective_rank(at::eye(7)).item<double>() == Approx(7).epsilon(1e-6));
    CHECK(effective_rank(at::cat({at::eye(5), at::zeros({5, 20})}, 1)).item<double>() == Approx(5).epsilon(1e-6));
    CHECK(effective_rank(normal_rows({1, 30}, 4).expand({40, 30})).item<double>() == Approx(1).epsilon(1e-4));
    CHECK(effective_rank(at::zeros({4, 3})).item<double>() == 1);
}

TEST_CASE("effective_rank of a case worked out by hand, at any scale") {
    // singular values 3 and 1: p = (0.75, 0.25)
    const double expected = std::exp(-0.75 * std::log(0.75) - 0.25 * std::log(0.25));
    const Tensor z = at::tensor({0.0, 3.0, 1.0, 0.0, 0.0, 0.0}, at::kDouble).view({3, 2});
    for (const double scale : {1.0, 1e-30, 1e30}) {
        CHECK(effective_rank(z * scale).item<double>() == Approx(expected).epsilon(1e-12));
        CHECK(effective_rank((z * scale).to(at::kFloat)).item<double>() == Approx(expected).epsilon(1e-6));
    }
    CHECK(effective_rank(z.t()).item<double>() == Approx(expected).epsilon(1e-12));
    CHECK(effective_rank(z).scalar_type() == at::kDouble);
    CHECK(effective_rank(z.to(at::kBFloat16)).scalar_type() == at::kFloat);
}

TEST_CASE("the spectrum is numpy's") {
    const auto expected = fixture("measures.txt", "spectrum");
    for (const std::string name : {"tall", "wide"}) {
        INFO(name);
        const Tensor rows = name == "tall" ? tall_features() : wide_features();
        const auto spectrum = spectrum_of(rows);
        check_close(spectrum.singular_values, expected.at(name + "_singular"), 1e-7);  // a square root of rounding
        check_close(spectrum.variances, expected.at(name + "_variances"), 1e-13);
        CHECK(spectrum.effective_rank == Approx(expected.at(name + "_rank")[0]).epsilon(1e-10));
        CHECK(spectrum.effective_rank == Approx(effective_rank(rows).item<double>()).epsilon(1e-10));
        CHECK(spectrum.decay == Approx(expected.at(name + "_decay")[0]).epsilon(1e-8));
        for (std::size_t k = 0; k < 5; ++k)
            CHECK(spectrum.share(k + 1) == Approx(expected.at(name + "_shares")[k]).epsilon(1e-12));
        CHECK(static_cast<double>(spectrum.components(0.9)) == expected.at(name + "_components")[0]);
    }
}

TEST_CASE("the decay is the exponent of a power law, whatever the scale") {
    // orthogonal columns of length i^(−α/2) about a mean of 0
    const Tensor directions = std::get<0>(at::linalg_qr(at::cat({at::ones({400, 1}), normal_rows({400, 150}, 3)}, 1).to(at::kDouble))).slice(1, 1);
    for (const double alpha : {0.0, 1.0, 1.7}) {
        const Tensor rows = directions * at::arange(1, 151, at::kDouble).pow(-alpha / 2);
        CHECK(spectrum_of(rows).decay == Approx(alpha).margin(1e-9));
        CHECK(spectrum_of(1e4 * rows + 5).decay == Approx(alpha).margin(1e-9));
    }
    CHECK(std::isnan(spectrum_of(normal_rows({40, 5}, 1)).decay));  // two ranks from the fourth on
}

TEST_CASE("a spectrum of many rows is summed in portions, and a large mean costs no digits") {
    const Tensor rows = normal_rows({9000, 20}, 5);
    const auto spectrum = spectrum_of(rows);
    const Tensor wide = rows.to(at::kDouble), centered = wide - wide.mean(0, true);
    check_close(spectrum.singular_values, eval::detail::values_of(at::linalg_svdvals(wide)), 1e-9);
    check_close(spectrum.variances, eval::detail::values_of(at::linalg_svdvals(centered).square() / 8999), 1e-12);
    check_close(spectrum_of(wide + 1e6).variances, spectrum.variances, 1e-8);
}

TEST_CASE("features that do not vary have no variance, and effective rank 1") {
    const auto spectrum = spectrum_of(normal_rows({1, 30}, 4).expand({40, 30}));
    CHECK(spectrum.effective_rank == Approx(1).epsilon(1e-4));
    CHECK(spectrum.share(3) == 0);
    CHECK(spectrum.components(0.9) == 0);
    CHECK(std::isnan(spectrum.decay));
    CHECK(spectrum_of(at::zeros({3, 2})).effective_rank == 1);
}

TEST_CASE("the spectrum rejects what it cannot measure") {
    CHECK(mentions(message_of([] { effective_rank(Tensor{}); }), {"effective_rank", "[N, D]", "got []"}));
    CHECK(mentions(message_of([] { spectrum_of(at::ones({1, 3})); }), {"spectrum_of", "at least 2", "got [1, 3]"}));
    CHECK(mentions(message_of([] { spectrum_of(at::ones({2, 3}, at::kLong)); }), {"floating", "Long"}));
    CHECK(mentions(message_of([] { spectrum_of(damaged_features()); }), {"2 of 12 rows", "NaN or infinity", "row 2", "weights"}));
    CHECK(!effective_rank(normal_rows({4, 3}, 5).set_requires_grad(true)).requires_grad());
}
