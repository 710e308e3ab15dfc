// SPDX-License-Identifier: Apache-2.0
#include <doppel/heads/mlp.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;
using heads::Bias;
using heads::LastNorm;
using heads::Mlp;

namespace {
/// A head as a line: "0.weight[16, 8] 1.weight[16] …", frozen parameters in brackets.
std::string structure(const Mlp& spec, std::int64_t in) {
    std::ostringstream text;
    for (const auto& item : spec.build(in).module->named_parameters()) {
        const bool frozen = !item.value().requires_grad();
        text << (frozen ? "(" : "") << item.key() << item.value().sizes() << (frozen ? ")" : "") << ' ';
    }
    return text.str();
}
}  // namespace

TEST_CASE("an Mlp is built layer by layer as its options say") {
    CHECK(structure({.hidden = {16}, .out = 4}, 8) == "0.weight[16, 8] 1.weight[16] 1.bias[16] 3.weight[4, 16] 3.bias[4] ");
    CHECK(structure({.hidden = {16}, .out = 4, .norm = false}, 8) == "0.weight[16, 8] 0.bias[16] 2.weight[4, 16] 2.bias[4] ");
    CHECK(structure({.hidden = {}, .out = 4}, 8) == "0.weight[4, 8] 0.bias[4] ");
    CHECK(structure({.hidden = {16, 6}, .out = 4, .bias = Bias::never}, 8) ==
          "0.weight[16, 8] 1.weight[16] 1.bias[16] 3.weight[6, 16] 4.weight[6] 4.bias[6] 6.weight[4, 6] ");
    CHECK(structure({.hidden = {16}, .out = 4, .bias = Bias::always}, 8) ==
          "0.weight[16, 8] 0.bias[16] 1.weight[16] 1.bias[16] 3.weight[4, 16] 3.bias[4] ");
}

TEST_CASE("an Mlp's last BatchNorm is plain, with a scale only, or affine") {
    CHECK(structure({.hidden = {16}, .out = 4, .last_norm = LastNorm::affine}, 8) ==
          "0.weight[16, 8] 1.weight[16] 1.bias[16] 3.weight[4, 16] 4.weight[4] 4.bias[4] ");
    CHECK(structure({.hidden = {16}, .out = 4, .last_norm = LastNorm::plain}, 8) ==
          "0.weight[16, 8] 1.weight[16] 1.bias[16] 3.weight[4, 16] ");
    CHECK(structure({.hidden = {16}, .out = 4, .last_norm = LastNorm::scale_only}, 8) ==
          "0.weight[16, 8] 1.weight[16] 1.bias[16] 3.weight[4, 16] 4.weight[4] (4.bias[4]) ");
}

TEST_CASE("an Mlp computes Linear, BatchNorm, ReLU, Linear") {
    auto head = Mlp{.hidden = {6}, .out = 3, .last_norm = LastNorm::plain}.build(5).module;
    const at::NoGradGuard no_grad;
    double shift = 0;
    for (auto& parameter : head->parameters()) parameter.copy_(wave(parameter.sizes(), 0.9, shift += 1, at::kFloat));
    const Tensor x = wave({7, 5}, 0.61, 0, at::kFloat);
    auto normed = [](const Tensor& y) { return (y - y.mean(0)) / (y.var(0, false) + 1e-5).sqrt(); };
    const auto p = head->named_parameters();
    const Tensor hidden = at::relu(normed(x.mm(p["0.weight"].t())) * p["1.weight"] + p["1.bias"]);
    CHECK(largest_difference(head->forward(x), normed(hidden.mm(p["3.weight"].t()))) < 1e-5);
}

TEST_CASE("an Mlp refuses widths below one") {
    CHECK(mentions(message_of([] { Mlp{.out = -3}.build(8); }), {"Mlp", "out", "-3"}));
    CHECK(mentions(message_of([] { Mlp{.hidden = {16, 0}}.build(8); }), {"Mlp", "hidden", "0"}));
}
