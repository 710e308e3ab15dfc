// SPDX-License-Identifier: Apache-2.0
#include <doppel/core/precision.hpp>
#include <doppel/heads/dino.hpp>

#include "support/method_support.hpp"

#include <set>

using namespace doppel;
using namespace doppel::test;

namespace {

Tensor listed(const std::vector<double>& values) { return at::tensor(values, at::kDouble); }

heads::DinoModule head(const heads::Dino& spec, std::int64_t in = 8, at::ScalarType type = at::kFloat) {
    auto module = spec.build(in).module;
    module->to(type);
    return module;
}
const heads::Dino small_head{.hidden = 16, .bottleneck = 6, .out = 12};

}  // namespace

TEST_CASE("DINO's head gives lightly's and the authors' outputs and gradients under their names") {
    struct Case {
        std::string name;
        heads::Dino spec;
    };
    heads::Dino gain = small_head, norm = small_head;
    gain.trained_gain = norm.trained_gain = norm.norm = true;
    const std::vector<Case> cases{
        {"head_plain_fixed", small_head}, {"head_plain_gain", gain}, {"head_norm_gain", norm}};
    for (const auto& [name, spec] : cases) {
        INFO(name);
        const auto expected = fixture("dino.txt", name);
        auto module = head(spec, 8, at::kDouble);
        std::set<std::string> names;
        {
            const at::NoGradGuard no_grad;
            double i = 0;
            for (auto& item : module->named_parameters()) {  // as fill() of method_support.hpp
                Tensor& p = item.value();
                const Tensor noise = chirp(p.sizes(), 0.13 + 0.01 * i, 0.7 + 0.1 * i);
                p.copy_(p.dim() > 1 ? noise * std::sqrt(3.0 / static_cast<double>(p.numel() / p.size(0)))
                                    : (item.key().ends_with("weight") ? 1 + 0.1 * noise : 0.1 * noise));
                ++i;
            }
        }
        const Tensor x = leaf(chirp({5, 8}, 0.17, 0.4));
        const Tensor z = module->forward(x);
        CHECK(largest_difference(z.flatten(), listed(expected.at("output"))) < 1e-11);
        (z * wave(z.sizes(), 0.9, 0.2)).sum().backward();
        CHECK(largest_difference(x.grad().flatten(), listed(expected.at("input"))) < 1e-11);
        std::size_t trained = 0;
        for (const auto& item : module->named_parameters()) {
            INFO(item.key());
            if (!item.value().requires_grad()) {
                CHECK(item.key() == "last_layer.weight_g");
                continue;
            }
            ++trained;
            REQUIRE(expected.count(item.key()) == 1);
            const auto now = statistics(item.value().grad()), then = expected.at(item.key());
            REQUIRE(now.size() == then.size());
            for (std::size_t k = 0; k < now.size(); ++k) CHECK(now[k] == Approx(then[k]).epsilon(1e-10).margin(1e-10));
        }
        CHECK(trained + 2 == expected.size());
    }
}

TEST_CASE("DINO's head starts with rows of length 1 and small weights, and its gain is not trained") {
    at::manual_seed(3);
    auto module = head({.hidden = 200, .bottleneck = 64, .out = 500}, 100);
    const Tensor w = module->weight();
    CHECK(w.sizes() == at::IntArrayRef({500, 64}));
    CHECK(largest_difference(w.norm(2, 1), at::ones({500})) < 1e-6);
    const auto parameters = module->named_parameters();
    CHECK(parameters["last_layer.weight_g"].sizes() == at::IntArrayRef({500, 1}));
    CHECK(at::equal(parameters["last_layer.weight_g"], at::ones({500, 1})));
    CHECK(!parameters["last_layer.weight_g"].requires_grad());
    CHECK(parameters["last_layer.weight_v"].abs().max().item<double>() <= 1 / 8.0);
    CHECK(parameters["last_layer.weight_v"].std().item<double>() == Approx(1 / 8.0 / std::sqrt(3.0)).epsilon(0.02));
    for (const char* name : {"mlp.0", "mlp.2", "mlp.4"}) {
        CHECK(parameters[std::string(name) + ".weight"].std().item<double>() == Approx(0.02).epsilon(0.03));
        CHECK(parameters[std::string(name) + ".bias"].abs().max().item<double>() == 0);
    }
    const Tensor z = module->forward(chirp({5, 100}, 0.2, 0.1, at::kFloat));
    CHECK(z.abs().max().item<double>() <= 1 + 1e-6);
    CHECK(head({.layers = 1, .bottleneck = 4, .out = 9})->forward(at::ones({2, 8})).sizes() == at::IntArrayRef({2, 9}));
    // An input that gives the zero vector: scores 0, gradient finite.
    auto bare = head({.layers = 1, .bottleneck = 4, .out = 9});
    const Tensor zero = leaf(at::zeros({2, 8}));
    const Tensor nothing = bare->forward(zero);
    CHECK(nothing.abs().max().item<double>() == 0);
    nothing.sum().backward();
    CHECK(zero.grad().isfinite().all().item<bool>());

    // Under autocast the lengths are taken in float32.
    const Autocast scope(at::kCPU, Precision::bf16);
    CHECK(module->weight().scalar_type() == at::kFloat);
    CHECK(largest_difference(module->weight(), w) == 0);
    const Tensor low = module->forward(chirp({5, 100}, 0.2, 0.1, at::kFloat));
    CHECK(low.scalar_type() == at::kBFloat16);
    CHECK(largest_difference(low, z) < 0.02);
}

TEST_CASE("DINO's head says what is wrong with its options") {
    says([] { heads::Dino{.layers = 0}.build(8); }, {"heads::Dino", "layers", "got 0"});
    says([] { heads::Dino{.hidden = 0}.build(8); }, {"heads::Dino", "hidden", "got 0"});
    says([] { heads::Dino{.bottleneck = 0}.build(8); }, {"heads::Dino", "bottleneck", "got 0"});
    says([] { heads::Dino{.out = 0}.build(8); }, {"heads::Dino", "out", "got 0"});
}
