// SPDX-License-Identifier: Apache-2.0
#include <doppel/losses/directclr.hpp>
#include <doppel/losses/nt_xent.hpp>
#include <doppel/recipe/method.hpp>

#include "support/losses.hpp"

using namespace doppel;
using namespace doppel::test;
using losses::Directclr;
using losses::NtXent;

namespace {

// The inputs of make_mmcr_fixtures.py.
Tensor view(int v, at::IntArrayRef shape, at::ScalarType type = at::kDouble) {
    return chirp(shape, 0.13 + 0.05 * v, 0.9 - 0.1 * v, type);
}

}  // namespace

TEST_CASE("DirectCLR gives lightly's values and gradients") {
    const Fixture fixture = read_fixture("mmcr.txt", 2);  // make_mmcr_fixtures.py
    for (const auto type : {at::kDouble, at::kFloat})
        for (const int dims : {2, 3, 6}) {
            const double tolerance = type == at::kDouble ? 1e-10 : 4e-5;
            const Tensor a = leaf(view(0, {5, 6}, type)), b = leaf(view(1, {5, 6}, type));
            equals_fixture(fixture, "directclr_" + std::to_string(dims), Directclr{.dims = dims}(a, b), {a, b}, tolerance,
                           tolerance);
        }
}

TEST_CASE("DirectCLR's gradient equals central differences") {
    const Tensor other = chirp({5, 6}, 0.11, 0.3);
    has_right_gradient([&](const Tensor& z) { return Directclr{.dims = 4, .temperature = 0.5}(z, other); }, view(0, {5, 6}));
}

TEST_CASE("DirectCLR is NT-Xent of the first features alone") {
    // collapsed: log(2N − 1)
    CHECK(number(Directclr{.dims = 2}(at::ones({8, 4}), at::ones({8, 4}))) == Approx(std::log(15.0)).epsilon(1e-5));
    const Tensor a = view(0, {5, 6}), b = view(1, {5, 6});
    const auto cut = [](const Tensor& x) { return x.narrow(1, 0, 3); };
    CHECK(number(Directclr{.dims = 3}(a, b)) == number(NtXent{.temperature = 0.1}(cut(a), cut(b))));
    CHECK(number(Directclr{.dims = 6}(a, b)) == number(NtXent{.temperature = 0.1}(a, b)));
    Tensor changed = a.clone();
    changed.narrow(1, 3, 3).mul_(100);
    CHECK(number(Directclr{.dims = 3}(changed, b)) == number(Directclr{.dims = 3}(a, b)));
    Method method{Recipe{.encoder = tiny(), .loss = Directclr{.dims = 4}}};
    CHECK(std::isfinite(number(method->forward(batch_of(6)))));
}

TEST_CASE("DirectCLR's negatives are the other view's alone where that is wanted, as in the authors' code") {
    // infoNCE(z1, z2) / 2 + infoNCE(z2, z1) / 2 of main.py
    const Tensor a = view(0, {5, 6}), b = view(1, {5, 6});
    const Tensor logits = unit(a.narrow(1, 0, 3)).mm(unit(b.narrow(1, 0, 3)).t()) / 0.1;
    const Tensor both = (at::cross_entropy_loss(logits, at::arange(5)) + at::cross_entropy_loss(logits.t(), at::arange(5))) / 2;
    const Directclr loss{.dims = 3, .cross_view = true};
    CHECK(number(loss(a, b)) == Approx(number(both)).epsilon(1e-12));
    has_right_gradient([&](const Tensor& z) { return loss(z, b); }, a);
    has_right_gradient([&](const Tensor& z) { return loss(a, z); }, b);
    CHECK(number(Directclr{.dims = 2, .cross_view = true}(at::ones({8, 4}), at::ones({8, 4}))) == Approx(std::log(8.0)).epsilon(1e-5));
}

TEST_CASE("DirectCLR of half-precision, zero and equal embeddings is finite with finite gradients") {
    const Directclr loss{.dims = 8};
    for (const auto type : {at::kHalf, at::kBFloat16}) {
        const Tensor a = view(0, {12, 16}, type), b = chirp({12, 16}, 0.11, 0.3, type);
        is_close_in_half([&](const Tensor& x) { return loss(x, b); }, a, number(loss(a.to(at::kFloat), b.to(at::kFloat))));
    }
    for (const Tensor& x : {at::zeros({12, 16}), at::ones({12, 16}), at::full({12, 16}, 1e4)})
        is_finite_at([&](const Tensor& z) { return loss(z, x); }, x);
}

TEST_CASE("DirectCLR computes in float32 under bfloat16 autocast") {
    const Tensor a = view(0, {12, 16}, at::kFloat), b = view(1, {12, 16}, at::kFloat);
    is_not_changed_by_autocast([&] { return Directclr{.dims = 8}(a, b); });
}

TEST_CASE("DirectCLR says what is wrong with its input") {
    const Tensor good = wave({4, 3});
    for (const double bad : {-0.1, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()})
        says([&] { Directclr{.dims = 2, .temperature = bad}(good, good); }, {"Directclr", "temperature", "positive"});
    refuses_wrong_pairs("Directclr", Directclr{.dims = 2});
    says([&] { Directclr{}(good, good); }, {"Directclr", "360", "only 3 features"});
    says([&] { Directclr{.dims = 0}(good, good); }, {"Directclr", "dims", "at least 1"});
    says([&] { Directclr{.dims = 2}(wave({1, 3}), wave({1, 3})); }, {"Directclr", "at least 2 images", "1"});
}
