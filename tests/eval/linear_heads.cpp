// SPDX-License-Identifier: Apache-2.0
// Linear classifiers trained together equal torch's, each trained alone.
#include <doppel/eval/linear_heads.hpp>

#include "support/torch_support.hpp"

#include <torch/nn/functional/loss.h>
#include <torch/nn/modules/linear.h>

#include <limits>

using namespace doppel;
using namespace doppel::test;

namespace {

constexpr std::int64_t images = 12, features = 5, classes = 4;
Tensor rows(int step) { return chirp({images, features}, 0.013 + 0.01 * step, 0.4, at::kFloat) * 2; }
Tensor labels(int step) { return (at::arange(images, at::kLong) * 7 + step).remainder(classes); }

}  // namespace

TEST_CASE("heads trained together equal torch's SGD on the cross-entropy of each") {
    const std::vector<double> rates{0.05, 0.7, 8};
    eval::LinearHeads heads({.heads = 3, .classes = classes, .features = features, .momentum = 0.8, .seed = 3});
    const Tensor first = heads.weight[0].clone();
    CHECK(first.std().item<double>() == Approx(0.01).epsilon(0.5));
    CHECK(bit_equal(heads.weight[1], first));
    for (std::size_t h = 0; h < rates.size(); ++h) {
        eval::LinearHeads all({.heads = 3, .classes = classes, .features = features, .momentum = 0.8, .seed = 3});
        torch::nn::Linear alone(features, classes);
        {
            const at::NoGradGuard no_grad;
            alone->weight.copy_(first);
            alone->bias.zero_();
        }
        torch::optim::SGD sgd(alone->parameters(), torch::optim::SGDOptions(rates[h]).momentum(0.8));
        const auto head = static_cast<std::int64_t>(h);
        for (int step = 0; step < 6; ++step) {
            const Tensor logits = alone(rows(step));
            const Tensor loss = torch::nn::functional::cross_entropy(logits, labels(step));
            const auto seen = all.step(rows(step), labels(step), at::tensor(rates, at::kFloat));
            CHECK(seen.loss[head].item<double>() == Approx(loss.item<double>()).epsilon(1e-4));
            CHECK(seen.right[head].item<std::int64_t>() ==
                  logits.argmax(1).eq(labels(step)).sum().item<std::int64_t>());
            sgd.zero_grad();
            loss.backward();
            sgd.step();
        }
        CHECK(largest_difference(all.weight[head], alone->weight) < 1e-4 * alone->weight.abs().max().item<double>());
        CHECK(largest_difference(all.bias[head], alone->bias) < 1e-4 * alone->bias.abs().max().item<double>());
        CHECK(largest_difference(all.scores(rows(9), head), alone(rows(9))) < 1e-3);
    }
}

TEST_CASE("an image of weight 0 does not exist for a head") {
    const Tensor rate = at::tensor({0.5, 0.5}, at::kFloat);
    eval::LinearHeads both({.heads = 2, .classes = classes, .features = features}),
        part({.heads = 1, .classes = classes, .features = features});
    Tensor use = at::ones({2, images});
    use[1].slice(0, 0, 5).zero_();
    for (int step = 0; step < 4; ++step) {
        both.step(rows(step), labels(step), rate, use);
        part.step(rows(step).slice(0, 5), labels(step).slice(0, 5), rate.slice(0, 0, 1));
    }
    CHECK(largest_difference(both.weight[1], part.weight[0]) < 1e-6);
    CHECK(largest_difference(both.weight[0], part.weight[0]) > 1e-3);
    use[1].zero_();  // a batch of held-out images alone
    const auto before = both.weight[1].clone();
    CHECK(both.step(rows(5), labels(5), rate * 0, use).loss.isfinite().all().item<bool>());
    CHECK(bit_equal(both.weight[1], before));
}

TEST_CASE("features that are not finite change nothing and are counted") {
    eval::LinearHeads heads({.classes = classes, .features = features});
    const Tensor rate = at::tensor({0.5}, at::kFloat);
    heads.step(rows(0), labels(0), rate);
    const auto weight = heads.weight.clone(), bias = heads.bias.clone(), velocity = heads.weight_velocity.clone();
    for (const double strange : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
        Tensor bad = rows(1);
        bad[3][1] = strange;
        heads.step(bad, labels(1), rate);
    }
    CHECK(bit_equal(heads.weight, weight));
    CHECK(bit_equal(heads.bias, bias));
    CHECK(bit_equal(heads.weight_velocity, velocity));
    CHECK(heads.left_out.item<std::int64_t>() == 2);
}

TEST_CASE("heads draw nothing from torch's generators, and reject wrong shapes and options") {
    at::manual_seed(1);
    const Tensor before = at::rand({3});
    at::manual_seed(1);
    eval::LinearHeads heads({.classes = classes, .features = features, .seed = 8});
    CHECK(bit_equal(at::rand({3}), before));
    CHECK(mentions(message_of([&] { heads.step(at::zeros({2, 3}), labels(0), at::ones({1})); }), {"[B, 5]", "[2, 3]"}));
    CHECK(mentions(message_of([] { eval::LinearHeads({.heads = 0}); }), {"at least 1", "got 0"}));
    CHECK(mentions(message_of([] { eval::LinearHeads({.momentum = 1}); }), {"momentum", "got 1"}));
}
