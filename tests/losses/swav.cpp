// SPDX-License-Identifier: Apache-2.0
#include <doppel/heads/mlp.hpp>
#include <doppel/losses/swav.hpp>

#include "support/method_support.hpp"
#include "support/sinkhorn.hpp"

#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <set>

using namespace doppel;
using namespace doppel::test;
using losses::sinkhorn;
using losses::Swav;

namespace {

// The inputs of make_swav_fixtures.py.
Tensor view(int v, at::IntArrayRef shape = {5, 6}, at::ScalarType type = at::kDouble) {
    return (chirp(shape, 0.17, 0.8) + 0.6 * chirp(shape, 0.31 + 0.07 * v, 0.2 + 0.1 * v)).to(type);
}
Tensor prototypes(int i, at::IntArrayRef shape) { return unit(chirp(shape, 0.23 + 0.05 * i, 0.5)); }
Tensor past(int i, at::IntArrayRef shape) { return unit(chirp(shape, 0.37 + 0.03 * i, 0.1)); }

Outputs outputs(std::vector<Tensor> online, std::int64_t globals = 2, std::int64_t epoch = 0) {
    Outputs out;
    out.online = std::move(online);
    out.globals = globals;
    out.at = {.step = epoch * 10, .of = {.samples = 100, .steps = 1000, .steps_per_epoch = 10}};
    return out;
}

std::vector<Tensor> crops(int count, at::IntArrayRef shape = {5, 6}, at::ScalarType type = at::kDouble) {
    std::vector<Tensor> all;
    for (int v = 0; v < count; ++v) all.push_back(view(v, shape, type));
    return all;
}

/// A loss with prototypes by formula, of one type.
Swav swav(Swav loss, std::int64_t dim = 6, at::ScalarType type = at::kDouble) {
    loss.build(dim);
    for (std::size_t i = 0; i < loss.weights.size(); ++i)
        loss.weights[i] = leaf(prototypes(static_cast<int>(i), {loss.prototypes[i], dim}), type);
    for (Tensor& queue : loss.queues) queue = queue.to(type);
    return loss;
}

void fill_queues(Swav& loss) {
    for (std::size_t i = 0; i < loss.queues.size(); ++i)
        loss.queues[i].copy_(past(static_cast<int>(i), loss.queues[i].sizes()));
    loss.queue_rows = loss.queue;
}

// ---- the definitions, one number at a time ------------------------------------------------------------

Rows scores_by_definition(const Tensor& z, const Tensor& c) {
    const Rows a = numbers(z), b = numbers(c);
    Rows s(a.size(), std::vector<double>(b.size()));
    for (std::size_t i = 0; i < a.size(); ++i) {
        double length = 0;
        for (const double x : a[i]) length += x * x;
        for (std::size_t k = 0; k < b.size(); ++k)
            for (std::size_t d = 0; d < a[i].size(); ++d) s[i][k] += a[i][d] * b[k][d] / std::sqrt(length);
    }
    return s;
}

struct Value {
    double loss = 0;
    int terms = 0;
};

/// One set of prototypes; the queue's rows come before the batch's.
Value swav_by_definition(const std::vector<Tensor>& z, std::size_t globals, const Tensor& c,
                         const std::vector<Tensor>& queues, double epsilon, double temperature) {
    Value result;
    const auto rows = static_cast<std::size_t>(z[0].size(0));
    for (std::size_t i = 0; i < globals; ++i) {
        Rows pool;
        if (!queues.empty()) pool = scores_by_definition(queues[i], c);
        for (const auto& row : scores_by_definition(z[i], c)) pool.push_back(row);
        const Rows q = sinkhorn_by_definition(pool, epsilon, 3);
        for (std::size_t v = 0; v < z.size(); ++v) {
            if (v == i) continue;
            ++result.terms;
            const Rows s = scores_by_definition(z[v], c);
            for (std::size_t r = 0; r < rows; ++r) {
                double sum = 0;
                for (const double x : s[r]) sum += std::exp(x / temperature);
                for (std::size_t k = 0; k < s[r].size(); ++k)
                    result.loss -= q[pool.size() - rows + r][k] * (s[r][k] / temperature - std::log(sum)) /
                                   static_cast<double>(rows);
            }
        }
    }
    result.loss /= result.terms;
    return result;
}

double value(Swav& loss, const Outputs& out) { return loss(out).item<double>(); }

auto recipe_of(Swav loss) {
    return Recipe{.encoder = tiny(),
                  .projector = heads::Mlp{.hidden = {16}, .out = 12, .bias = heads::Bias::always},
                  .loss = std::move(loss),
                  .layout = {.join_views = true, .join_heads = true}};
}

}  // namespace

// ---- the loss -----------------------------------------------------------------------------------------

TEST_CASE("SwAV gives the values and gradients of lightly and of the authors' formula") {
    struct Case {
        std::string name;
        int views;
        std::int64_t globals;
        Swav loss;
    };
    const std::vector<Case> cases{
        {"loss_two", 2, 2, {.prototypes = {7}}},
        {"loss_crops", 4, 2, {.prototypes = {7}}},
        {"loss_one_global", 3, 1, {.prototypes = {5}, .temperature = 0.2, .assignment = {.epsilon = 0.1}}},
        {"loss_sets", 3, 2, {.prototypes = {7, 4}}},
        {"loss_queue", 4, 2, {.prototypes = {7}, .queue = 8}},
    };
    for (const auto type : {at::kDouble, at::kFloat})
        for (const auto& one : cases) {
            INFO(one.name << ' ' << type);
            const double tolerance = type == at::kDouble ? 1e-11 : 5e-5;
            Swav loss = swav(one.loss, 6, type);
            fill_queues(loss);
            std::vector<Tensor> z;
            for (int v = 0; v < one.views; ++v) z.push_back(leaf(view(v), type));
            const Tensor result = loss(outputs(z, one.globals));
            result.backward();
            const auto expected = fixture("swav.txt", one.name);
            CHECK(result.scalar_type() == type);
            CHECK(result.item<double>() == Approx(expected.at("value").at(0)).epsilon(tolerance));
            std::vector<Tensor> gradients;
            for (const auto* list : {&z, &loss.weights})
                for (const Tensor& x : *list) gradients.push_back(x.grad().flatten());
            CHECK(largest_difference(at::cat(gradients), at::tensor(expected.at("gradient"), at::kDouble)) < tolerance);
        }
}

TEST_CASE("SwAV equals its definition, number by number, with globals times (views − 1) terms") {
    for (const int count : {2, 3, 6})
        for (const std::int64_t globals : {1, 2})
            for (const bool queued : {false, true}) {
                Swav loss = swav({.prototypes = {9}, .temperature = 0.15, .assignment = {.epsilon = 0.07},
                                  .queue = queued ? 4 : 0, .queued_views = globals});
                fill_queues(loss);
                const auto z = crops(count);
                const Value plain = swav_by_definition(z, static_cast<std::size_t>(globals), loss.weights[0],
                                                       loss.queues, 0.07, 0.15);
                CHECK(plain.terms == globals * (count - 1));
                CHECK(value(loss, outputs(z, globals)) == Approx(plain.loss).epsilon(1e-11));
            }
}

TEST_CASE("SwAV's gradients equal central differences with the assignments held") {
    Swav loss = swav({.prototypes = {7}});
    const Tensor other = view(1), third = view(2), x = leaf(view(0)), held = loss.weights[0].detach();
    loss(outputs({x, other, third})).backward();
    std::vector<Tensor> q;
    for (const Tensor& z : {x.detach(), other}) q.push_back(sinkhorn(unit(z).mm(held.t())));
    const auto frozen = [&](const Tensor& z0, const Tensor& c) {
        const auto log_q = [&](const Tensor& z) { return (unit(z).mm(c.t()) / 0.1).log_softmax(1); };
        return -(q[0] * (log_q(other) + log_q(third)) + q[1] * (log_q(z0) + log_q(third))).sum() / (4.0 * 5);
    };
    const at::NoGradGuard no_grad;
    CHECK(x.grad().abs().max().item<double>() > 1e-3);
    const auto of_x = numeric_gradient([&](const Tensor& z) { return frozen(z, held); }, x.detach().clone());
    const auto of_c = numeric_gradient([&](const Tensor& c) { return frozen(x.detach(), c); }, held.clone());
    CHECK(largest_difference(x.grad(), of_x) < 1e-7);
    CHECK(largest_difference(loss.weights[0].grad(), of_c) < 1e-7);
}

TEST_CASE("SwAV: length of embeddings and order of images and small views do not count") {
    Swav loss = swav({.prototypes = {7}});
    const auto z = crops(4);
    const double before = value(loss, outputs(z));
    const Tensor order = at::tensor({3, 1, 4, 0, 2});
    const auto changed = [&](const std::function<Tensor(const Tensor&)>& f) {
        std::vector<Tensor> all;
        for (const Tensor& x : z) all.push_back(f(x));
        return value(loss, outputs(all));
    };
    CHECK(changed([](const Tensor& x) { return x * 300; }) == Approx(before).epsilon(1e-12));
    CHECK(changed([&](const Tensor& x) { return x.index_select(0, order); }) == Approx(before).epsilon(1e-12));
    CHECK(value(loss, outputs({z[1], z[0], z[3], z[2]})) == Approx(before).epsilon(1e-12));
    CHECK(std::abs(value(loss, outputs({z[0], z[2], z[1], z[3]})) - before) > 1e-3);  // but which ones are global does
}

TEST_CASE("SwAV's prototypes start as the weights of torch's Linear, one after the other, with rows of length 1") {
    Swav fresh{.prototypes = {40, 30}};
    at::manual_seed(3);
    fresh.build(16);
    at::manual_seed(3);
    REQUIRE(fresh.weights.size() == 2);
    for (std::size_t i = 0; i < 2; ++i) {
        const auto linear = torch::nn::Linear(torch::nn::LinearOptions(16, fresh.prototypes[i]).bias(false));
        CHECK(fresh.weights[i].requires_grad());
        CHECK(largest_difference(fresh.weights[i], unit(linear->weight)) < 1e-6);
    }
}

TEST_CASE("SwAV of collapsed and of perfect embeddings is a known number") {
    // Prototypes that nothing tells apart: ln K, 8.006 for 3000.
    Swav loss{.prototypes = {3000}};
    loss.build(4);
    loss.weights[0] = leaf(at::full({3000, 4}, 0.5));
    CHECK(value(loss, outputs({at::ones({6, 4}), at::ones({6, 4})})) == Approx(std::log(3000.0)).epsilon(1e-5));
    CHECK(std::log(3000.0) == Approx(8.006).epsilon(1e-4));
    // One place for all images: assignments are even, and no prediction is better than the even one.
    Swav some = swav({.prototypes = {7}});
    const Tensor same = view(0, {1, 6}).expand({5, 6});
    CHECK(value(some, outputs({same, same})) > std::log(7.0));
    // Each image at a prototype of its own.
    Swav best = swav({.prototypes = {6}});
    best.weights[0] = leaf(at::eye(6, at::kDouble));
    const Tensor eye = at::eye(6, at::kDouble);
    CHECK(value(best, outputs({eye, eye, eye})) == Approx(std::log1p(5 * std::exp(-10.0))).margin(1e-6));
    CHECK(value(best, outputs({eye, eye.roll(1, 0)})) == Approx(10).epsilon(1e-3));
    // The metrics say how evenly prototypes are used.
    const auto metrics = [](Swav& l) {
        std::map<std::string, double> all;
        for (const auto& [name, tensor] : l.metrics()) {
            CHECK(tensor.dim() == 0);
            CHECK(!tensor.requires_grad());
            all[name] = tensor.item<double>();
        }
        return all;
    };
    CHECK(metrics(best).at("assignment_evenness") == Approx(1).epsilon(1e-3));
    CHECK(metrics(best).at("prediction_evenness") == Approx(1).epsilon(1e-3));
    some(outputs({at::zeros({5, 6}, at::kDouble) + some.weights[0].detach()[2], view(1)}));
    CHECK(metrics(some).at("prediction_evenness") < 0.7);  // all at one prototype,
    CHECK(metrics(some).at("assignment_evenness") > 0.7);  // assigned evenly all the same
    CHECK(Swav{}.metrics().empty());
}

TEST_CASE("SwAV computes in float32 whatever the inputs and autocast are") {
    Swav loss = swav({.prototypes = {7}, .queue = 4}, 6, at::kFloat);
    fill_queues(loss);
    const auto z = crops(3, {5, 6}, at::kFloat);
    const double expected = value(loss, outputs(z));
    {
        const Autocast scope(at::kCPU, Precision::bf16);
        const Tensor inside = loss(outputs(z));
        CHECK(inside.scalar_type() == at::kFloat);
        CHECK(inside.item<double>() == expected);
        loss.commit(outputs(z, 2, 20));
        CHECK(loss.queues[0].scalar_type() == at::kFloat);
    }
    for (const auto type : {at::kHalf, at::kBFloat16}) {
        std::vector<Tensor> half;
        for (const Tensor& x : z) half.push_back(leaf(x, type));
        const Tensor result = loss(outputs(half));
        result.backward();
        CHECK(result.scalar_type() == at::kFloat);
        CHECK(std::isfinite(result.item<double>()));
        CHECK(half[0].grad().isfinite().all().item<bool>());
    }
    const Tensor zero = leaf(at::zeros({5, 6}));
    loss(outputs({zero, z[1]})).backward();
    CHECK(zero.grad().isfinite().all().item<bool>());
}

// ---- queue --------------------------------------------------------------------------------------------

TEST_CASE("SwAV's queue is not used before it is full, and zero rows never enter") {
    Swav with = swav({.prototypes = {7}, .queue = 12, .queue_from = 0}), without = swav({.prototypes = {7}});
    for (int step = 0; step < 4; ++step) {
        const auto out = outputs({view(step), view(step + 5), view(step + 9)});
        const double mine = value(with, out), plain = value(without, out);
        INFO("step " << step);
        if (step < 3)  // 15 rows were written before the fourth
            CHECK(mine == plain);
        else
            CHECK(std::abs(mine - plain) > 1e-3);
        CHECK(value(with, out) == mine);  // a call writes nothing
        with.commit(out);
        without.commit(out);
        CHECK(with.queue_rows == 5 * (step + 1));
    }
    CHECK(without.queue_rows == 0);
}

TEST_CASE("SwAV's queue keeps the newest unit embeddings of each global view, whatever the batch") {
    for (const std::int64_t length : {3, 5, 7, 12})
        for (const std::int64_t batch : {1, 4, 5, 9}) {
            Swav loss = swav({.prototypes = {7}, .queue = length, .queue_from = 0});
            std::vector<Tensor> seen[2];
            for (int step = 0; step < 7; ++step) {
                const auto z = crops(3, {batch, 6});
                std::vector<Tensor> shifted;
                for (const Tensor& x : z) shifted.push_back(x + 0.3 * step);
                loss.commit(outputs(shifted));
                for (std::size_t i = 0; i < 2; ++i) seen[i].push_back(unit(shifted[i]));
            }
            for (std::size_t i = 0; i < 2; ++i) {
                // the same rows in another order: each of the newest is found
                const Tensor all = at::cat(seen[i]);
                const std::int64_t kept = std::min(length, all.size(0));
                const Tensor newest = all.narrow(0, all.size(0) - kept, kept);
                const Tensor apart = (newest.unsqueeze(1) - loss.queues[i].unsqueeze(0)).abs().amax(2);
                INFO("queue " << length << ", batch " << batch);
                CHECK(std::get<0>(apart.min(1)).max().item<double>() < 1e-12);
                CHECK(loss.queues[i].sizes() == at::IntArrayRef({length, 6}));
            }
            CHECK((loss.queue_rows >= length) == (7 * std::min(batch, length) >= length));
        }
}

TEST_CASE("SwAV's queue begins at its epoch, and what it holds is scored by the prototypes of the day") {
    Swav loss = swav({.prototypes = {7}, .queue = 5, .queue_from = 2});
    const auto z = crops(2);
    loss.commit(outputs(z, 2, 0));
    loss.commit(outputs(z, 2, 1));
    CHECK(loss.queue_rows == 0);
    CHECK(loss.queues[0].abs().max().item<double>() == 0);
    loss.commit(outputs(z, 2, 2));
    CHECK(loss.queue_rows == 5);
    const Tensor moved = leaf(prototypes(3, {7, 6}));
    loss.weights[0] = moved;
    const Value plain = swav_by_definition({view(3), view(4)}, 2, moved, {unit(z[0]), unit(z[1])}, 0.05, 0.1);
    CHECK(value(loss, outputs({view(3), view(4)})) == Approx(plain.loss).epsilon(1e-11));
    // a run in which it is never used says so
    const Horizon hundred{.samples = 1000, .steps = 1000, .steps_per_epoch = 10};
    CHECK((Swav{.queue = 3840, .queue_from = 15}).begin(hundred).empty());
    CHECK((Swav{.queue = 0}).begin({.samples = 10, .steps = 1, .steps_per_epoch = 1}).empty());
    const std::string late = Swav{.queue = 3840, .queue_from = 100}.begin(hundred);
    CHECK(mentions(late, {"Swav", "queue", "3840", "100", "never"}));
    CHECK(!(Swav{.queue = 100000, .queue_from = 15}).begin(hundred).empty());
    CHECK((Swav{.queue = 200, .queue_from = 0}).begin({.samples = 100, .steps = 3, .steps_per_epoch = 1}).empty());
    CHECK(!(Swav{.queue = 201, .queue_from = 0}).begin({.samples = 100, .steps = 3, .steps_per_epoch = 1}).empty());
}

TEST_CASE("SwAV's prototypes have unit rows after each commit, and state is written by commit alone") {
    Method method{recipe_of({.prototypes = {7, 5}, .queue = 9, .queue_from = 0}), {.seed = 1}};
    std::set<std::string> names;
    for (const auto& item : method->named_parameters()) names.insert(item.key());
    CHECK(names.count("loss.prototypes_0") == 1);
    CHECK(names.count("loss.prototypes_1") == 1);
    const auto buffers = method->named_buffers();
    CHECK(buffers["loss.queue_0"].sizes() == at::IntArrayRef({9, 12}));
    CHECK(buffers["loss.queue_1"].sizes() == at::IntArrayRef({9, 12}));
    CHECK(!buffers.contains("loss.queue_2"));
    const auto counter = [&]() -> std::int64_t& {
        for (const auto& [name, place] : method->counters())
            if (name == "loss.queue_rows") return *place;
        throw std::runtime_error("no loss.queue_rows");
    };
    method->begin({.samples = 60, .steps = 10, .steps_per_epoch = 5});
    const auto prototypes_now = [&] { return method->named_parameters()["loss.prototypes_0"]; };
    const Tensor before = prototypes_now().detach().clone();
    const auto optimize = [&] {
        const at::NoGradGuard no_grad;
        for (auto& item : method->named_parameters())
            if (item.value().grad().defined()) item.value().sub_(item.value().grad(), 0.5);
        method->zero_grad();
    };
    method->forward(batch_of(6, 0, 2)).backward();
    CHECK(prototypes_now().grad().abs().max().item<double>() > 1e-4);
    method->zero_grad();
    method->discard();
    CHECK(bit_equal(prototypes_now().detach(), before));
    CHECK(counter() == 0);
    CHECK(method->named_buffers()["loss.queue_0"].abs().max().item<double>() == 0);
    // two passes before one commit: both are remembered, each with assignments of its own
    method->forward(batch_of(6, 0, 2)).backward();
    method->forward(batch_of(6, 1, 2)).backward();
    optimize();
    CHECK(largest_difference(prototypes_now().norm(2, 1), at::ones({7})) > 1e-4);
    method->commit();
    CHECK(largest_difference(prototypes_now().norm(2, 1), at::ones({7})) < 1e-6);
    CHECK(largest_difference(prototypes_now(), before) > 1e-4);
    CHECK(counter() == 12);
    CHECK(largest_difference(method->named_buffers()["loss.queue_1"].norm(2, 1), at::ones({9})) < 1e-6);

    // what was saved, with its counter, goes on in another method alike
    Method other{recipe_of({.prototypes = {7, 5}, .queue = 9, .queue_from = 0}), {.seed = 5}};
    {
        const at::NoGradGuard no_grad;
        for (const auto& item : method->named_parameters()) other->named_parameters()[item.key()].copy_(item.value());
        for (const auto& item : method->named_buffers()) other->named_buffers()[item.key()].copy_(item.value());
    }
    const auto from = method->counters(), to = other->counters();
    REQUIRE(from.size() == to.size());
    other->begin({.samples = 60, .steps = 10, .steps_per_epoch = 5});
    const double without_counter = other->forward(batch_of(6, 3, 2)).item<double>();
    other->discard();
    for (std::size_t i = 0; i < to.size(); ++i) *to[i].second = *from[i].second;
    const double mine = method->forward(batch_of(6, 3, 2)).item<double>();
    CHECK(other->forward(batch_of(6, 3, 2)).item<double>() == mine);
    CHECK(std::abs(without_counter - mine) > 1e-5);
    method->commit();
    other->commit();
    CHECK(bit_equal(method->named_buffers()["loss.queue_0"], other->named_buffers()["loss.queue_0"]));
    CHECK(bit_equal(prototypes_now().detach(), other->named_parameters()["loss.prototypes_0"].detach()));
    CHECK((Method{recipe_of({.prototypes = {7}}), {.seed = 1}})->counters().size() == from.size() - 1);
}

TEST_CASE("SwAV on micro-batches is not SwAV on the whole batch") {
    Swav loss = swav({.prototypes = {7}});
    const auto z = crops(3, {8, 6});
    const auto half = [&](std::int64_t from) {
        std::vector<Tensor> rows;
        for (const Tensor& x : z) rows.push_back(x.narrow(0, from, 4));
        return value(loss, outputs(rows));
    };
    CHECK(std::abs((half(0) + half(4)) / 2 - value(loss, outputs(z))) > 1e-3);
}

TEST_CASE("SwAV says what is wrong") {
    const auto z = crops(3);
    const auto build = [](const Swav& loss) { return [loss] { Swav(loss).build(6); }; };
    says(build({.prototypes = {}}), {"Swav", "at least one set"});
    says(build({.prototypes = {7, 1}}), {"Swav", "prototypes", "1"});
    for (const double t : {0.0, -1.0, std::numeric_limits<double>::infinity()})
        says(build({.temperature = t}), {"Swav", "temperature"});
    says(build({.queue = -1}), {"Swav", "queue", "-1"});
    says(build({.queue_from = -2}), {"Swav", "queue_from", "-2"});
    says(build({.queue = 4, .queued_views = 0}), {"Swav", "queued_views", "0"});
    says([&] { Swav{}(outputs(z)); }, {"Swav", "build(6)", "[K, 6]"});
    Swav loss = swav({.prototypes = {7}}), queued = swav({.prototypes = {7}, .queue = 4});
    says([&] { loss(outputs({z[0]}, 1)); }, {"Swav", "two views", "1"});
    says([&] { loss(outputs(z, 0)); }, {"Swav", "global", "0"});
    says([&] { loss(outputs(z, 4)); }, {"Swav", "global", "3", "4"});
    says([&] { loss(outputs({z[0], Tensor{}, z[2]})); }, {"Swav", "view 1", "pairing"});
    says([&] { loss(outputs({z[0], z[1].narrow(0, 0, 3)})); }, {"Swav", "[5, 6]", "[3, 6]"});
    says([&] { loss(outputs(crops(2, {5, 4}))); }, {"Swav", "build(4)", "[7, 6]"});
    says([&] { loss(outputs({z[0].to(at::kLong), z[1].to(at::kLong)})); }, {"Swav", "floating"});
    says([&] { queued(outputs(z, 1)); }, {"Swav", "queued_views", "2", "1"});
    says([&] { swav({.prototypes = {7}, .assignment = {.epsilon = -1}})(outputs(z)); }, {"sinkhorn", "epsilon", "-1"});
}
