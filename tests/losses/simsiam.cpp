// SPDX-License-Identifier: Apache-2.0
#include <doppel/losses/simsiam.hpp>

#include "support/cosine_losses.hpp"

using namespace doppel;
using namespace doppel::test;
using losses::Simsiam;

TEST_CASE("SimSiam's loss gives lightly's values and gradients over both directions") {
    equals_both_directions("simsiam", Simsiam{}, 0.5);
}

TEST_CASE("SimSiam's loss is the negative mean cosine, number by number") {
    is_a_line_in_the_mean_cosine(Simsiam{}, [](double cosine) { return -cosine; });
}

TEST_CASE("the gradient of SimSiam's loss equals central differences, and none reaches the target") {
    trains_the_prediction_alone(Simsiam{});
}

TEST_CASE("SimSiam's loss goes from -1 to 1, and its two directions are averaged") {
    const Tensor x = chirp({32, 16}, 0.13, 0.9);
    CHECK(number(Simsiam{}(x, x)) == Approx(-1).epsilon(1e-12));
    CHECK(number(Simsiam{}(x, -x)) == Approx(1).epsilon(1e-12));
    CHECK(Simsiam::Pairing{}.reduce == pairings::Reduce::mean);
    CHECK(Simsiam::Pairing{}(2, 2).size() == 2);
}

TEST_CASE("SimSiam's loss is computed in float32 under autocast, and finite at rows of zeros") { is_safe(Simsiam{}); }

TEST_CASE("SimSiam's loss says what is wrong with its input") { refuses_wrong_pairs("Simsiam", Simsiam{}); }
