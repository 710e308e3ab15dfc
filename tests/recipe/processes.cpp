// SPDX-License-Identifier: Apache-2.0
// Methods of a user's own parts, which know nothing of other processes, on several of them; and the layouts and BatchNorm layers of
// a method that is one of several.
#include <doppel/recipe/processes.hpp>

#include <doppel/core/batch_norm.hpp>
#include <doppel/heads/mlp.hpp>
#include <doppel/losses/nt_xent.hpp>
#include <doppel/queues/fifo.hpp>
#include <doppel/recipe/any_method.hpp>
#include <doppel/recipe/method.hpp>
#include <doppel/schedules/schedules.hpp>
#include <doppel/targets/ema.hpp>

#include "support/processes.hpp"
#include "support/support.hpp"
#include "support/torch_support.hpp"

#include <ATen/ops/allclose.h>
#include <torch/nn/functional/normalization.h>

#include <map>
#include <string>
#include <vector>

using namespace doppel;
using namespace doppel::test;
namespace nnf = torch::nn::functional;

namespace {

/// TinyNet with BatchNorm that may share its statistics.
struct NetImpl : torch::nn::Module {
    torch::nn::Conv2d conv{nullptr};
    BatchNorm2d bn{nullptr};
    NetImpl() {
        conv = register_module("conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 8, 3).stride(2)));
        bn = register_module("bn", BatchNorm2d(8));
    }
    Tensor forward(const Tensor& x) { return at::relu(bn(conv(x))).mean({2, 3}); }
    std::int64_t feature_dim() const { return 8; }
};
TORCH_MODULE(Net);
auto net() {
    return [] { return Net(); };
}

struct Redundancy {  // a pair loss of the whole batch
    Tensor operator()(const Tensor& a, const Tensor& b) const {
        const auto unit = [](const Tensor& z) { return (z - z.mean(0)) / (z.std(0) + 1e-3); };
        const Tensor c = unit(a).t().mm(unit(b)) / a.size(0);
        return (c - at::eye(c.size(0), c.options())).square().mean();
    }
};
struct Distance {  // a mean over images
    static constexpr bool per_image = true;
    using Pairing = pairings::Symmetric;
    Tensor operator()(const Tensor& p, const Tensor& z) const { return (2 - 2 * at::cosine_similarity(p, z)).mean(); }
};
struct Centered {  // a buffer that commit() moves by the outputs of the whole batch, and a trained parameter
    Tensor center{}, prototypes{};
    void build(std::int64_t dim) {
        center = at::zeros({1, dim});
        prototypes = nnf::normalize(chirp({5, dim}, 0.37, 0.2, at::kFloat)).requires_grad_();
    }
    template <class V>
    void state(V&& visit) {
        visit("center", center);
        visit("prototypes", prototypes);
    }
    Tensor operator()(const Outputs& out) const {
        const Tensor a = nnf::normalize(out.online[0] - center).mm(prototypes.t()), b = nnf::normalize(out.online[1]).mm(prototypes.t());
        return -(b.detach().softmax(1) * (a / 0.5).log_softmax(1)).sum(1).mean() + a.std(0).mean();
    }
    void commit(const Outputs& out) { center.lerp_(at::cat(out.online).mean(0, true), 0.1); }
};
struct Labels {  // rows of all processes against each other, by their labels
    static constexpr bool uses_labels = true;
    Tensor operator()(const Outputs& out) const {
        const Tensor z = nnf::normalize(at::cat({out.online[0], out.online[1]})), labels = at::cat({out.label, out.label});
        const Tensor self = at::eye(z.size(0), at::kBool), s = (z.mm(z.t()) / 0.5).masked_fill(self, -1e9);
        const Tensor same = (labels.unsqueeze(0) == labels.unsqueeze(1)).logical_and(self.logical_not()).to(at::kFloat);
        return -((s.log_softmax(1) * same).sum(1) / same.sum(1)).mean();
    }
};

struct Means {  // a queue of batch means
    struct State {
        Tensor rows{};
        Tensor read() const { return rows; }
        void commit(const Outputs& out) {
            rows.copy_(at::cat({rows.narrow(0, 1, rows.size(0) - 1), nnf::normalize(out.target[1]).mean(0, true)}));
        }
        template <class V>
        void state(V&& visit) {
            visit("rows", rows);
        }
    };
    State build(std::int64_t dim) const { return {nnf::normalize(chirp({4, dim}, 0.53, 0.7, at::kFloat))}; }
};
struct AgainstMemory {
    Tensor operator()(const Tensor& q, const Tensor& k, const Tensor& memory) const {
        const Tensor a = nnf::normalize(q), b = nnf::normalize(k.detach());
        const Tensor logits = at::cat({(a * b).sum(1, true), a.mm(memory.t())}, 1) / 0.2;
        return at::cross_entropy_loss(logits, at::zeros({q.size(0)}, at::kLong));
    }
};

auto projector() { return heads::Mlp{.hidden = {16}, .out = 6}; }
auto ema() { return targets::Ema{.schedule = schedules::Constant{0.9}}; }

/// Rows of the whole batch of a step that a group's process has.
Batch part_of_batch(std::int64_t images, int step, const Group& group) {
    Batch batch = batch_of(images, 0.3 * step);
    const auto range = rows_of(images, group.rank(), group.size());
    for (Tensor& view : batch.views) view = view.narrow(0, range.first, range.count);
    batch.index = batch.index.narrow(0, range.first, range.count);
    batch.label = batch.label.narrow(0, range.first, range.count);
    batch.first = range.first;
    batch.all = images;
    return batch;
}

/// Five steps by hand, in float32.
template <class R>
std::map<std::string, Tensor> five_steps(const R& recipe, const Group& group, std::int64_t images) {
    AnyMethod method = Method{recipe, {.seed = 1}};
    method.begin({.samples = 64, .steps = 5});
    method.join(group);
    const auto parameters = method.trainable();
    std::unique_ptr<GradientAverage> average;
    if (!group.alone()) average = group.collectives().gradient_average(parameters, {});
    for (int step = 0; step < 5; ++step) {
        const Tensor loss = method.forward(part_of_batch(images, step, group));
        if (average) average->before_backward(loss, true);
        loss.backward();
        if (average) average->after_backward(true);
        const at::NoGradGuard no_grad;
        for (auto [name, parameter] : parameters)
            if (parameter.grad().defined()) {
                parameter.sub_(parameter.grad(), 0.02);
                parameter.mutable_grad() = Tensor{};
            }
        method.commit();
    }
    std::map<std::string, Tensor> state;
    for (const auto& item : method.module().named_parameters()) state[item.key()] = item.value().detach().clone();
    for (const auto& item : method.module().named_buffers()) state[item.key()] = item.value().clone();
    return state;
}

template <class R>
void as_one_process(const R& recipe) {
    for (const auto& [size, images] : {std::pair{2, 6}, {3, 7}}) {
        const auto whole = five_steps(recipe, Group{}, images);
        std::map<std::string, Tensor> first;
        as_processes(size, [&](const Group& group) {
            const auto own = five_steps(recipe, group, images);
            if (group.first()) first = own;
            REQUIRE(own.size() == whole.size());
            for (const auto& [name, value] : whole) {
                const bool same = at::equal(gathered(own.at(name).reshape({1, -1}), group)[0], own.at(name).reshape({-1}));
                INFO(name << ", process " << group.rank() << " of " << group.size());
                CHECK(same);  // the same bits
                CHECK(at::allclose(own.at(name), value, 1e-4, 2e-5));
            }
        });
    }
}

}  // namespace

TEST_CASE("a user's losses and queues, written for one process, train on several as on one") {
    SECTION("a pair loss") { as_one_process(Recipe{.encoder = net(), .projector = projector(), .loss = Redundancy{}}); }
    SECTION("a lambda") {
        as_one_process(Recipe{.encoder = net(), .projector = projector(), .loss = [](const Tensor& a, const Tensor& b) {
                                  return (a - b).square().mean() - 0.1 * a.std(0).mean();
                              }});
    }
    SECTION("a mean over images") {
        as_one_process(Recipe{.encoder = net(), .projector = projector(), .predictor = projector(), .target = ema(), .loss = Distance{}});
    }
    SECTION("a loss with a buffer and a parameter") { as_one_process(Recipe{.encoder = net(), .projector = projector(), .loss = Centered{}}); }
    SECTION("a loss that compares labels") { as_one_process(Recipe{.encoder = net(), .projector = projector(), .loss = Labels{}}); }
    SECTION("a queue") {
        as_one_process(Recipe{.encoder = net(), .projector = projector(), .target = ema(), .queue = Means{}, .loss = AgainstMemory{}});
    }
    SECTION("a loss beside doppel's queue") {
        as_one_process(
            Recipe{.encoder = net(), .projector = projector(), .target = ema(), .queue = queues::Fifo{.capacity = 10}, .loss = AgainstMemory{}});
    }
}

TEST_CASE("a BatchNorm layer that knows nothing of other processes is rejected, unless each has its own statistics") {
    const Recipe torch_norm{.encoder = tiny(), .loss = losses::NtXent{}};
    CHECK(mentions(message_of([&] { as_processes(2, [&](const Group& group) { Method{torch_norm}->join(group); }); }),
                   {"encoder.bn", "normalizes by the batch of its own process alone", "doppel::BatchNorm1d", "--no-sync-batch-norm"}));
    as_processes(2, [&](const Group& group) { Method{torch_norm}->join(group, /*sync_batch_norm=*/false); });
}

TEST_CASE("after a step, running statistics of a process's own batch are the mean over the processes") {
    const Recipe torch_norm{.encoder = tiny(), .loss = losses::NtXent{}};
    Tensor expected;
    for (const double shift : {0.1, 2.1}) {  // what each would have alone
        Method method{torch_norm, {.seed = 1}};
        method->forward(batch_of(6, shift));
        const Tensor mean = method->named_buffers()["encoder.bn.running_mean"].clone();
        expected = expected.defined() ? (expected + mean) / 2 : mean;
    }
    as_processes(2, [&](const Group& group) {
        Method method{torch_norm, {.seed = 1}};
        method->join(group, /*sync_batch_norm=*/false);
        method->forward(batch_of(6, group.rank() == 0 ? 0.1 : 2.1));
        method->commit();
        const Tensor mean = method->named_buffers()["encoder.bn.running_mean"];
        const bool same = at::equal(gathered(mean.unsqueeze(0), group)[1 - group.rank()], mean);
        CHECK(same);
        CHECK(at::allclose(mean, expected, 1e-5, 1e-7));
    });
}

TEST_CASE("groups of BatchNorm are shared by the processes; what cannot be shared is rejected") {
    as_processes(2, [](const Group& group) {
        CHECK(doppel::detail::layout_for({.bn_groups = 6, .shuffle_target = true}, group).bn_groups == 3);
        CHECK(mentions(message_of([&] { doppel::detail::layout_for({.bn_groups = 3}, group); }), {"bn_groups", "3", "2 processes"}));
        CHECK(mentions(message_of([&] { doppel::detail::layout_for({.join_views = true, .bn_groups = 2}, group); }), {"join_views"}));
    });
    CHECK(doppel::detail::layout_for({.bn_groups = 3}, {}).bn_groups == 3);
}

TEST_CASE("a batch of which nobody said how it is shared asks the others; a wrong share is named") {
    as_processes(2, [](const Group& group) {
        const std::int64_t own = group.rank() == 0 ? 2 : 5;
        const auto images = doppel::detail::group_for(batch_of(own), group).images();
        CHECK(images == std::vector<std::int64_t>{2, 5});
        Batch batch = batch_of(own);
        batch.all = 7;
        CHECK(mentions(message_of([&] { doppel::detail::group_for(batch, group); }), {"process", "of a batch of 7", "Batch::all"}));
    });
}
