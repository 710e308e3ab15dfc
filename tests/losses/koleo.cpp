// SPDX-License-Identifier: Apache-2.0
#include <doppel/heads/dino.hpp>
#include <doppel/losses/koleo.hpp>

#include "support/losses.hpp"

using namespace doppel;
using namespace doppel::test;
using losses::Koleo;

namespace {

// The inputs of make_dino_fixtures.py.
Tensor view(int v, at::IntArrayRef shape = {6, 4}, at::ScalarType type = at::kDouble) {
    return chirp(shape, 0.13 + 0.05 * v, 0.9 - 0.1 * v, type);
}

Outputs features(std::vector<Tensor> f, std::int64_t globals) {
    Outputs out;
    out.features = std::move(f);
    out.globals = globals;
    return out;
}

double koleo_by_definition(const Outputs& out, double weight) {
    double loss = 0;
    for (std::size_t v = 0; v < static_cast<std::size_t>(out.globals); ++v) {
        const Rows x = numbers(unit(out.features[v]));
        for (std::size_t i = 0; i < x.size(); ++i) {
            double nearest = std::numeric_limits<double>::infinity();
            for (std::size_t j = 0; j < x.size(); ++j) {
                double square = 0;
                for (std::size_t k = 0; k < x[i].size(); ++k) square += (x[i][k] - x[j][k]) * (x[i][k] - x[j][k]);
                if (i != j) nearest = std::min(nearest, std::sqrt(square));
            }
            loss -= weight * std::log(nearest + 1e-8) / static_cast<double>(x.size());
        }
    }
    return loss;
}

}  // namespace

TEST_CASE("KoLeo gives lightly's values and gradients") {
    const auto expected = fixture("dino.txt", "koleo");  // make_dino_fixtures.py
    for (const auto type : {at::kDouble, at::kFloat}) {
        const double close = type == at::kDouble ? 2e-7 : 2e-5;  // lightly adds 1e-8 to each difference
        const Tensor x = leaf(view(0, {6, 4}, type)), y = leaf(view(1, {6, 4}, type));
        const Tensor loss = Koleo{}(features({x, y}, 2));
        loss.backward();
        CHECK(loss.scalar_type() == type);
        CHECK(number(loss) == Approx(expected.at("value").at(0)).epsilon(close));
        CHECK(largest_difference(at::cat({x.grad().flatten(), y.grad().flatten()}),
                                 at::tensor(expected.at("gradient"), at::kDouble)) < close);
    }
}

TEST_CASE("KoLeo equals its definition, number by number, in float64") {
    for (const double weight : {0.0, 0.1, 2.0})
        for (const std::int64_t globals : {1, 2}) {
            const auto out = features({view(0) * 3, view(1), view(2)}, globals);
            CHECK(number(Koleo{.weight = weight}(out)) == Approx(koleo_by_definition(out, weight)).epsilon(1e-11));
        }
}

TEST_CASE("KoLeo's gradient equals central differences") {
    has_right_gradient([](const Tensor& z) { return Koleo{}(features({z, view(1)}, 2)); }, view(0));
}

TEST_CASE("KoLeo does not depend on the order of images, lengths and rotations") {
    const Tensor x = view(0), turn = std::get<0>(at::linalg_qr(chirp({4, 4}, 0.3, 0.5)));
    const auto spread = Approx(number(Koleo{}(features({x}, 1)))).epsilon(1e-12);
    CHECK(number(Koleo{}(features({x.flip(0)}, 1))) == spread);
    CHECK(number(Koleo{}(features({x * 100}, 1))) == spread);
    CHECK(number(Koleo{}(features({x.mm(turn)}, 1))) == spread);
}

TEST_CASE("KoLeo pulls at the encoder and not at the head") {
    const heads::Dino head{.hidden = 16, .bottleneck = 6, .out = 12};
    Method method{Recipe{.encoder = tiny(), .projector = head, .loss = Koleo{}}, {.seed = 1}};
    method->forward(batch_of(6)).backward();
    CHECK(method->named_parameters()["encoder.conv.weight"].grad().abs().max().item<double>() > 0);
    CHECK(!method->named_parameters()["projector.mlp.0.weight"].grad().defined());
}

TEST_CASE("KoLeo of duplicates, of zeros and of opposite images is finite and known") {
    const Tensor x = leaf(at::cat({view(0, {3, 4}), view(0, {3, 4})}));
    const Tensor value = Koleo{.weight = 1}(features({x}, 1));
    value.backward();
    CHECK(number(value) == Approx(-std::log(1e-8)));
    CHECK(x.grad().abs().max().item<double>() == 0);
    is_finite_at([](const Tensor& z) { return Koleo{}(features({z}, 1)); }, at::zeros({4, 3}));
    // Two opposite images: the nearest other one is as far as can be, not the image itself.
    const Tensor poles = at::tensor({1.0, -1.0}).unsqueeze(1);
    CHECK(number(Koleo{.weight = 1}(features({poles}, 1))) == Approx(-std::log(2.0)));
}

TEST_CASE("KoLeo of half inputs is finite in float32, and autocast does not change it") {
    const auto loss = [](const Tensor& z) { return Koleo{}(features({z}, 1)); };
    for (const auto type : {at::kHalf, at::kBFloat16}) {
        const Tensor f = leaf((view(0) * 100).to(type)), value = loss(f);
        value.backward();
        CHECK(value.scalar_type() == at::kFloat);
        CHECK(finite(f.grad()));
    }
    is_not_changed_by_autocast([&] { return loss(view(0, {6, 4}, at::kFloat)); });
}

TEST_CASE("KoLeo says what is wrong with its options and input") {
    says([] { Koleo{}(features({view(0, {1, 4})}, 1)); }, {"KoLeo", "at least 2 images", "got 1"});
    says([] { Koleo{.weight = -1}(features({at::ones({3, 2})}, 1)); }, {"KoLeo", "weight", "-1"});
    says([] { Koleo{}(features({at::ones({3, 2})}, 0)); }, {"KoLeo", "at least one global view"});
    says([] { Koleo{}(features({at::ones({3})}, 1)); }, {"KoLeo", "[N, D]", "[3]"});
}
