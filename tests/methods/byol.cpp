// SPDX-License-Identifier: Apache-2.0
#include <doppel/encoders/resnet.hpp>
#include <doppel/methods/byol.hpp>
#include <doppel/core/precision.hpp>

#include "support/method_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

template <class Encoder>
auto small_byol(Encoder encoder) {
    return methods::byol(std::move(encoder), {.momentum = 0.9, .hidden = 16, .out = 12}).recipe;
}

}  // namespace

TEST_CASE("three steps of BYOL equal solo-learn's loss on lightly's parts") {
    steps_as("method_steps.txt", "byol", small_byol(tiny()), {.tight = 1e-10, .loose = 5e-4});
}

TEST_CASE("BYOL's target follows m xi + (1 - m) theta by name, with the weights of after the update") {
    follows(small_byol(tiny()), targets::EmaTiming::after_step);
    CHECK(small_byol(tiny()).target.timing == targets::EmaTiming::after_step);
    rises_to_one(methods::byol(tiny()).recipe.target.schedule, 0.99);
    rises_to_one(methods::byol(tiny(), {.momentum = 0.996}).recipe.target.schedule, 0.996);
}

TEST_CASE("the target's weights are float32 and do not stop moving") {  // half types drop changes this small
    const double m = 0.9995;
    AnyMethod method =
        Method{small_byol(tiny()).with_target(targets::Ema{.schedule = schedules::Constant{m}}), {.seed = 1}};
    method.begin({.samples = 1000, .steps = 2000});
    const Autocast scope(at::kCPU, Precision::bf16);
    method.forward(batch_of(6));
    method.discard();
    const at::NoGradGuard no_grad;
    for (auto& item : method.module().named_parameters())
        item.value().fill_(item.key().rfind("target.", 0) == 0 ? 1 : 1.1);
    double exact = 1;
    for (int i = 0; i < 1000; ++i) {
        method.commit();
        exact = m * exact + (1 - m) * 1.1;
    }
    for (const auto& item : method.module().named_parameters()) {
        if (item.key().rfind("target.", 0) != 0) continue;
        CHECK(item.value().scalar_type() == at::kFloat);
        CHECK(item.value().mean().item<double>() - 1 == Approx(exact - 1).epsilon(2e-3));
    }
}

TEST_CASE("the target keeps batch statistics of its own, and drops nothing") {
    Method method{small_byol(normed_witness(0.5)), {.seed = 1}};
    AnyMethod any = method;
    fill(any);
    any.begin({.samples = 1000, .steps = 3});
    for (const bool on : {true, false, true}) {
        method->train(on);
        int norms = 0;
        for (const auto& item : method->named_modules()) {
            INFO(item.key() << (on ? " in training" : " in evaluation"));
            const bool is_norm = item.value()->named_buffers(false).contains("running_mean");
            norms += is_norm;
            if (is_norm) CHECK(item.value()->is_training() == on);
            if (item.key().ends_with("drop"))
                CHECK(item.value()->is_training() == (on && item.key() == "encoder.drop"));
        }
        CHECK(norms == 5);
    }
    auto optimizer = sgd(any);
    const Batch batch = batch_of(6);
    half_step(any, optimizer, batch);
    const auto& net = *method->target_encoder();
    Tensor mean = at::zeros({8}), var = at::ones({8});
    const at::NoGradGuard no_grad;
    for (std::size_t view = 0; view < 2; ++view) {
        const Tensor y = method->target_encoder()->conv(batch.views[view]).transpose(0, 1).flatten(1);
        mean = 0.9 * mean + 0.1 * y.mean(1);
        var = 0.9 * var + 0.1 * y.var(1, true);
        const Tensor normed = (y - y.mean(1, true)) / (y.var(1, false).unsqueeze(1) + 1e-5).sqrt();
        const Tensor h = at::relu(normed * net.bn->weight.unsqueeze(1) + net.bn->bias.unsqueeze(1));
        // this batch's statistics, nothing dropped
        CHECK(largest_difference(net.said[view], h.view({8, 6, -1}).mean(2).t()) < 1e-5);
    }
    CHECK(largest_difference(net.bn->running_mean, mean) < 1e-6);
    CHECK(largest_difference(net.bn->running_var, var) < 1e-6);
    CHECK(largest_difference(net.bn->running_mean, method->encoder()->bn->running_mean) > 1e-3);
    const Tensor online = method->encoder()->said[0];
    CHECK((online == 0).sum().item<double>() > 6);  // half of 48 are dropped there
}

TEST_CASE("nothing flows back into BYOL's target, and predictions are made by the online branch alone") {
    gives_its_target_no_gradient(small_byol(tiny()));
}

TEST_CASE("BYOL's heads are the authors'") {
    const auto recipe = methods::byol(encoders::ResNet{.depth = 50}).recipe;
    CHECK(layers(*recipe.projector.build(2048).module) ==
          "Linear 2048 4096 bias | BatchNorm 4096 | ReLU | Linear 4096 256");
    CHECK(layers(*recipe.predictor.build(256).module) ==
          "Linear 256 4096 bias | BatchNorm 4096 | ReLU | Linear 4096 256");
}
