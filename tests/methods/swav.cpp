// SPDX-License-Identifier: Apache-2.0
#include <doppel/core/precision.hpp>
#include <doppel/methods/swav.hpp>

#include "support/method_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

/// The authors normalize the prototypes before a step; ours are normalized when built and after a step.
void normalize_prototypes(AnyMethod method) {
    const at::NoGradGuard no_grad;
    for (auto& item : method.module().named_parameters())
        if (item.key().starts_with("loss.prototypes")) item.value().copy_(unit(item.value()));
}

auto recipe_of(losses::Swav loss) {
    auto recipe = methods::swav(tiny(), {.hidden = 16, .out = 12}).recipe;
    recipe.loss = std::move(loss);
    return recipe;
}

/// Counts its passes.
struct CountedNetImpl : TinyNetImpl {
    std::vector<std::int64_t> rows;
    Tensor forward(const Tensor& x) {
        rows.push_back(x.size(0));
        return TinyNetImpl::forward(x);
    }
};
TORCH_MODULE(CountedNet);

}  // namespace

TEST_CASE("three steps of SwAV equal the authors' step on torch's layers with lightly's loss") {
    Steps how{.loose = 5e-4};
    how.batch = [](std::int64_t s) { return batch_of(6, static_cast<double>(s), 2); };
    how.after_fill = normalize_prototypes;
    steps_as("swav.txt", "steps", recipe_of({.prototypes = {7}}), how);
    steps_as("swav.txt", "steps_queue", recipe_of({.prototypes = {7}, .queue = 6, .queue_from = 0}), how);
    steps_as("swav.txt", "steps_round", recipe_of({.prototypes = {5, 9}, .queue = 8, .queue_from = 0}), how);
    steps_as("swav.txt", "steps_late", recipe_of({.prototypes = {7}, .queue = 5, .queue_from = 1}), how);
}

TEST_CASE("SwAV's preset: one encoder pass a resolution, trains under bf16, the prototypes wait for an epoch") {
    const auto preset =
        methods::swav([] { return CountedNet(); }, {.prototypes = 7, .queue = 0, .hidden = 16, .out = 12});
    Method method{preset.recipe, {.seed = 1}};
    method->begin({.samples = 100, .steps = 1000, .steps_per_epoch = 10});
    {
        const Autocast scope(at::kCPU, Precision::bf16);
        const Tensor loss = method->forward(batch_of(4, 0, 3));
        CHECK(loss.scalar_type() == at::kFloat);
        CHECK(std::isfinite(loss.item<double>()));
        loss.backward();
    }
    CHECK(method->encoder()->rows == std::vector<std::int64_t>{8, 12});
    // Frozen prototypes: no gradient for an epoch, and the optimizer leaves them alone (weight decay, too).
    AnyMethod any = method;
    auto optimizer = preset.optimizer.build(any.trainable());
    const auto prototypes_now = [&] { return method->named_parameters()["loss.prototypes_0"]; };
    const Tensor before = prototypes_now().detach().clone();
    REQUIRE(prototypes_now().grad().defined());
    optim::drop_frozen(preset.frozen, optimizer.groups(), 9, 10);
    CHECK(!prototypes_now().grad().defined());
    CHECK(method->named_parameters()["projector.3.weight"].grad().defined());
    optimizer.step(0.1);
    CHECK(bit_equal(prototypes_now().detach(), before));
    method->commit();
    CHECK(largest_difference(prototypes_now().detach(), before) < 1e-6);
    method->forward(batch_of(4, 1, 3)).backward();
    optim::drop_frozen(preset.frozen, optimizer.groups(), 10, 10);
    optimizer.step(0.1);
    CHECK(largest_difference(prototypes_now().detach(), before) > 1e-6);
    for (const auto& group : optimizer.groups()) {  // LARC: all parameters alike
        CHECK(group.adapt);
        CHECK(group.weight_decay == 1e-6);
    }
    CHECK(any.metrics().size() == 2);
}

TEST_CASE("SwAV's preset has the authors' numbers") {
    const auto preset = methods::swav(tiny());
    CHECK(preset.name == "swav");
    CHECK(preset.views.name == "swav");
    CHECK(preset.views.globals == 2);
    REQUIRE(preset.views.pipelines.size() == 8);
    for (std::size_t v = 0; v < 8; ++v) {
        const std::string text = preset.views.pipelines[v].describe();
        INFO(text);
        CHECK(preset.views.pipelines[v].size() == (v < 2 ? 224 : 96));
        CHECK(mentions(text, {v < 2 ? "0.14" : "0.05", "0.8", "0.228"}));
    }
    CHECK(preset.batch_size == 256);
    CHECK(preset.epochs == 200);
    CHECK(rate(preset, 0) == Approx(0.6));
    CHECK(rate(preset, 1) == Approx(0.0006));
    CHECK(mentions(preset.optimizer.describe(), {"LARC", "0.001", "0.9", "1e-06"}));
    REQUIRE(preset.frozen.size() == 1);
    CHECK(preset.frozen[0].until(5005) == 5005);
    const losses::Swav& loss = preset.recipe.loss;
    CHECK(loss.prototypes == std::vector<std::int64_t>{3000});
    CHECK(loss.temperature == 0.1);
    CHECK(loss.assignment.epsilon == 0.05);
    CHECK(loss.assignment.iterations == 3);
    CHECK(loss.queue == 3840);
    CHECK(loss.queue_from == 15);
    CHECK(preset.recipe.layout.join_views);
    CHECK(preset.recipe.layout.join_heads);
    CHECK(preset.recipe.projector.hidden == std::vector<std::int64_t>{2048});
    CHECK(preset.recipe.projector.out == 128);
    CHECK(preset.recipe.projector.bias == heads::Bias::always);

    const auto large = methods::swav(tiny(), methods::swav_large);
    CHECK(large.batch_size == 4096);
    CHECK(large.recipe.loss.queue == 0);
    CHECK(rate(large, 0) == Approx(0.3));
    CHECK(rate(large, 0.1) == Approx(4.8));
    CHECK(rate(large, 1) == Approx(0.0048));

    const auto small = methods::swav(tiny(), methods::swav_small);
    CHECK(small.batch_size == 64);
    CHECK(small.recipe.loss.prototypes == std::vector<std::int64_t>{64});
    CHECK(small.recipe.loss.queue == 0);
    CHECK(small.optimizer.check_learning_rate(rate(small, 0.1)).empty());
    REQUIRE(small.views.pipelines.size() == 4);
    for (std::size_t v = 0; v < 4; ++v) {
        const std::string text = small.views.pipelines[v].describe();
        CHECK(small.views.pipelines[v].size() == (v < 2 ? 32 : 16));
        CHECK(text.find("blur") == std::string::npos);
        CHECK(mentions(text, {"0.4914"}));
    }
    CHECK(rate(methods::swav(tiny(), {.train = {.lr = 0.7}}), 0) == Approx(0.7));
    CHECK(methods::swav(tiny(), {.frozen_prototypes = 0}).frozen.empty());
    says([] { methods::swav(tiny(), {.crops = {.min_scale = 0}}); }, {"swav", "min_scale", "0"});
    says([] { methods::swav(tiny(), {.locals = {.min_scale = 0.3}}); }, {"swav", "local_min_scale", "0.3", "0.14"});
    says([] { methods::swav(tiny(), {.strength = 3}); }, {"swav", "strength", "3"});
    const auto local_side = [](methods::SwavOptions o) { return methods::swav(tiny(), o).views.pipelines.back().size(); };
    CHECK(local_side({.crops = {.size = 128}}) == 48);
    CHECK(local_side({.crops = {.size = 96}}) == 48);
    CHECK(local_side({.locals = {.size = 80}}) == 80);
}
