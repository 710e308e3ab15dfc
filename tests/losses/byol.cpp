// SPDX-License-Identifier: Apache-2.0
#include <doppel/losses/byol.hpp>

#include "support/cosine_losses.hpp"

using namespace doppel;
using namespace doppel::test;
using losses::Byol;

TEST_CASE("BYOL's loss gives solo-learn's values and gradients over both directions") {
    equals_both_directions("byol", Byol{}, 1);
}

TEST_CASE("BYOL's loss is 2 - 2 times the mean cosine, number by number") {
    is_a_line_in_the_mean_cosine(Byol{}, [](double cosine) { return 2 - 2 * cosine; });
}

TEST_CASE("the gradient of BYOL's loss equals central differences, and none reaches the target") {
    trains_the_prediction_alone(Byol{});
}

TEST_CASE("BYOL's two directions go from 0 to 8, and are added") {
    const Tensor x = chirp({32, 16}, 0.13, 0.9), q = predictions(), k = targets_of();
    CHECK(2 * number(Byol{}(x, x)) == Approx(0).margin(1e-12));
    CHECK(2 * number(Byol{}(x, -x)) == Approx(8).epsilon(1e-12));
    CHECK(number(Byol{}(at::eye(4, at::kDouble), at::eye(4, at::kDouble).roll(1, 0))) == Approx(2).epsilon(1e-12));
    CHECK(number(Byol{}(q, k)) == Approx(number((unit(q) - unit(k)).pow(2).sum(1).mean())).epsilon(1e-12));
    CHECK(Byol::Pairing{}.reduce == pairings::Reduce::sum);
}

TEST_CASE("BYOL's loss is computed in float32 under autocast, and finite at rows of zeros") { is_safe(Byol{}); }

TEST_CASE("BYOL's loss says what is wrong with its input") { refuses_wrong_pairs("Byol", Byol{}); }
