// SPDX-License-Identifier: Apache-2.0
#include <doppel/encoders/resnet.hpp>
#include <doppel/methods/moco_v2.hpp>

#include "support/method_support.hpp"

#include <algorithm>
#include <deque>
#include <set>

using namespace doppel;
using namespace doppel::test;

namespace {

/// MoCo v2, small.
template <class Encoder>
auto small_moco(Encoder encoder, bool symmetric = false, std::int64_t groups = 1, bool shuffle = false,
                std::int64_t queue = 12) {
    auto recipe = methods::moco_v2(std::move(encoder), {.temperature = 0.2,
                                                        .momentum = 0.9,
                                                        .queue = queue,
                                                        .hidden = 16,
                                                        .out = 12,
                                                        .bn_groups = groups,
                                                        .symmetric = symmetric})
                      .recipe;
    recipe.layout.shuffle_target = shuffle;
    return recipe;
}

/// For each row of `passed` its place in `batch`.
std::vector<std::int64_t> places(const Tensor& passed, const Tensor& batch) {
    std::vector<std::int64_t> all;
    for (std::int64_t i = 0; i < passed.size(0); ++i)
        for (std::int64_t j = 0; j < batch.size(0); ++j)
            if (at::equal(passed[i], batch[j])) all.push_back(j);
    REQUIRE(static_cast<std::int64_t>(all.size()) == passed.size(0));
    return all;
}

}  // namespace

TEST_CASE("three steps of MoCo v2 equal lightly's, with split BatchNorm and both directions") {
    const Steps how{.tight = 1e-6, .loose = 2e-5};
    steps_as("method_steps.txt", "moco_v2", small_moco(tiny()), how);
    steps_as("method_steps.txt", "moco_v2_split", small_moco(tiny(), false, 2), how);
    steps_as("method_steps.txt", "moco_v2_symmetric", small_moco(tiny(), true, 1, false, 24), how);
    steps_as("method_steps.txt", "moco_v2_symmetric_split", small_moco(tiny(), true, 2, false, 24), how);
}

TEST_CASE("without BatchNorm, splitting and shuffling change nothing") {
    const auto run = [&](std::int64_t groups, bool shuffle) {
        AnyMethod method = Method{small_moco(witness(), true, groups, shuffle, 20), {.seed = 3}};
        method.begin({.samples = 1000, .steps = 3});
        auto optimizer = sgd(method);
        auto all = std::vector<Tensor>{};
        for (int s = 0; s < 3; ++s) {
            all.push_back(at::tensor(half_step(method, optimizer, batch_of(8, s)), at::kDouble));
            for (const Tensor& keys : method.last()[0].target) all.push_back(keys);
            method.commit();
        }
        for (const auto& [name, value] : state_of(method)) all.push_back(value);
        return all;
    };
    const auto plain = run(1, false);
    for (const auto& [groups, shuffle] : {std::pair{1, true}, {2, false}, {2, true}, {4, true}}) {
        const auto other = run(groups, shuffle);
        REQUIRE(other.size() == plain.size());
        for (std::size_t i = 0; i < plain.size(); ++i) {
            INFO(groups << " groups, " << (shuffle ? "shuffled" : "as it is") << ", value " << i);
            CHECK(largest_difference(plain[i], other[i]) < 2e-6);
        }
    }
}

TEST_CASE("key row i is the key network's output for image i") {
    Method method{small_moco(witness(), true, 2, true).with_projector(None{}), {.seed = 3}};
    fill(method);
    const Batch batch = batch_of(8);
    method->forward(batch);
    const auto& keys = method->last()[0].target;
    for (std::size_t view = 0; view < 2; ++view)
        for (std::int64_t i = 0; i < 8; ++i) {
            const Tensor alone = method->target_encoder()->forward(batch.views[view].narrow(0, i, 1)).detach();
            CHECK(largest_difference(keys[view][i], alone[0]) < 1e-6);
            // images differ, or it would say nothing
            CHECK(largest_difference(keys[view][i], keys[view][(i + 1) % 8]) > 1e-4);
        }
}

TEST_CASE("with BatchNorm, too, key row i is the key network's output for image i in its group") {
    Method method{small_moco(normed_witness(), true, 2, true).with_projector(None{}), {.seed = 3}};
    fill(method);
    const Batch batch = batch_of(8);
    method->forward(batch);
    const auto& net = *method->target_encoder();
    REQUIRE(net.seen.size() == 4);  // two views in two groups
    for (std::size_t view = 0; view < 2; ++view) {
        const Tensor said = at::cat({net.said[2 * view], net.said[2 * view + 1]});
        const auto order = places(at::cat({net.seen[2 * view], net.seen[2 * view + 1]}), batch.views[view]);
        for (std::size_t p = 0; p < order.size(); ++p)
            CHECK(largest_difference(method->last()[0].target[view][order[p]], said[static_cast<std::int64_t>(p)]) ==
                  0);
    }
}

TEST_CASE("ShuffleBN: the BatchNorm group of an image's key holds other images than that of its query") {
    Method method{small_moco(normed_witness(), false, 2, true, 40), {.seed = 5}};
    AnyMethod any = method;
    any.begin({.samples = 1000, .steps = 20});
    int pairs = 0, together = 0;
    for (int s = 0; s < 20; ++s) {
        method->encoder()->seen.clear();
        method->target_encoder()->seen.clear();
        const Batch batch = batch_of(8, s);
        method->forward(batch);
        const auto& queries = method->encoder()->seen;
        const auto& keys = method->target_encoder()->seen;
        REQUIRE(queries.size() == 2);
        REQUIRE(keys.size() == 2);
        // the online branch is not shuffled
        CHECK(places(queries[0], batch.views[0]) == std::vector<std::int64_t>{0, 1, 2, 3});
        const auto first = places(keys[0], batch.views[1]);
        for (std::int64_t i = 0; i < 4; ++i)  // images 0 to 3, whose queries share a group
            for (std::int64_t j = 0; j < i; ++j, ++pairs) {
                const auto has = [&](std::int64_t k) {
                    return std::find(first.begin(), first.end(), k) != first.end();
                };
                together += has(i) == has(j);
            }
        method->commit();
    }
    // Two images of 8 share one of two groups with probability 3/7; without shuffling always. Of 120 pairs the share varies
    // by sqrt(3/7 · 4/7 / 120) = 0.045, of which the margin is three times.
    CHECK(static_cast<double>(together) / pairs == Approx(3 / 7.0).margin(0.15));
}

TEST_CASE("permutations are functions of seed, step and view; torch's generator is not touched") {
    const auto orders = [](std::uint64_t seed, int steps) {
        Method method{small_moco(witness(), true, 1, true, 40), {.seed = seed}};
        method->begin({.samples = 1000, .steps = 100});
        std::vector<std::vector<std::int64_t>> all;
        for (int s = 0; s < steps; ++s) {
            method->target_encoder()->seen.clear();
            const Batch batch = batch_of(12, s);
            method->forward(batch);
            for (std::size_t view = 0; view < 2; ++view)
                all.push_back(places(method->target_encoder()->seen[view], batch.views[view]));
            method->commit();
        }
        return all;
    };
    const auto all = orders(1, 5);
    for (const auto& order : all) CHECK(std::set<std::int64_t>(order.begin(), order.end()).size() == 12);
    CHECK(std::set<std::vector<std::int64_t>>(all.begin(), all.end()).size() == all.size());
    CHECK(orders(1, 5) == all);
    CHECK(orders(2, 5) != all);

    at::manual_seed(5);
    const Tensor expected = at::rand({3});
    at::manual_seed(5);
    AnyMethod method = Method{small_moco(tiny(), true, 2, true), {.seed = 1}};
    method.begin({.samples = 1000, .steps = 3});
    auto optimizer = sgd(method);
    for (int s = 0; s < 3; ++s) step(method, optimizer, batch_of(8, s));
    CHECK(bit_equal(at::rand({3}), expected));
}

TEST_CASE("a batch that does not fall into equal groups is refused") {
    Method method{small_moco(tiny(), false, 4), {.seed = 1}};
    CHECK(mentions(message_of([&] { method->forward(batch_of(6)); }), {"bn_groups (Recipe.layout, --bn-groups) = 4", "batch of 6", "equal parts"}));
    CHECK(mentions(message_of([&] { method->forward(batch_of(4)); }),
                   {"bn_groups (Recipe.layout, --bn-groups) = 4", "batch of 4", "at least 2 images"}));
    CHECK(mentions(message_of([&] { Method{small_moco(tiny(), false, 0)}; }), {"bn_groups", "at least 1", "0"}));
}

TEST_CASE("the loss meets the queue of before its batch") {
    AnyMethod method = Method{small_moco(tiny(), true), {.seed = 1}};
    fill(method);
    method.begin({.samples = 1000, .steps = 9});
    auto optimizer = sgd(method);
    for (int s = 0; s < 3; ++s) {
        const Tensor before = state_of(method).at("queue.rows").clone();
        const double loss = half_step(method, optimizer, batch_of(6, s));
        CHECK(bit_equal(state_of(method).at("queue.rows"), before));
        const auto& out = method.last()[0];
        const losses::InfoNce alone{.temperature = 0.2};
        const double right =
            (alone(out.online[0], out.target[1], before) + alone(out.online[1], out.target[0], before)).item<double>();
        CHECK(loss == Approx(right).epsilon(1e-5));
        method.commit();
        CHECK(!bit_equal(state_of(method).at("queue.rows"), before));
    }
}

TEST_CASE("one batch can be learned: each key is found among 64 others") {
    auto recipe =
        methods::moco_v2(tiny(),
                         {.temperature = 0.1, .momentum = 0.99, .queue = 64, .hidden = 32, .out = 32, .bn_groups = 1})
            .recipe;
    AnyMethod method = Method{recipe, {.seed = 1}};
    fill(method);
    auto optimizer = sgd(method, 0.02);
    const Batch batch = batch_of(6);
    double loss = half_step(method, optimizer, batch);
    CHECK(loss > std::log(2.0));
    for (int s = 0; s < 300; ++s) {
        method.discard();  // nothing is written: older keys of these six images would be negatives of theirs
        loss = half_step(method, optimizer, batch);
    }
    // Below log 2 / 6 every one of the six keys has more than half of the probability; with its own key in the queue an
    // image would not come below log 2.
    CHECK(loss < std::log(2.0) / 6);
}

TEST_CASE("a queue that holds more than a quarter of the images gives a warning") {
    AnyMethod method = Method{small_moco(tiny(), false, 1, false, 20)};
    CHECK(method.begin({.samples = 80, .steps = 10}).empty());
    const auto warnings = method.begin({.samples = 79, .steps = 10});
    REQUIRE(warnings.size() == 1);
    CHECK(mentions(warnings[0], {"Fifo", "20", "79", "quarter"}));
    const auto cifar = methods::moco_v2_small;
    CHECK(4 * cifar.queue <= 50000);
    CHECK(cifar.momentum == 0.99);
}

TEST_CASE("the queue is the last keys in order, for any batch size, as a plain list of them") {
    for (const bool symmetric : {false, true})
        for (const std::int64_t capacity : {1, 7, 16}) {
            AnyMethod method = Method{small_moco(tiny(), symmetric, 1, false, capacity), {.seed = 1}};
            method.begin({.samples = 1000, .steps = 100});
            auto optimizer = sgd(method);
            std::deque<Tensor> last;
            for (std::int64_t i = 0; i < capacity; ++i) last.push_back(state_of(method).at("queue.rows")[i].clone());
            double s = 0;
            for (const std::int64_t images : {2, 5, 3, 8, 13, 4, 7, 2}) {
                half_step(method, optimizer, batch_of(images, ++s));
                for (const Tensor& keys : method.last()[0].target) {
                    if (!keys.defined()) continue;
                    for (std::int64_t i = 0; i < images; ++i) {
                        last.push_back(keys[i] / keys[i].norm());
                        last.pop_front();
                    }
                }
                method.commit();
                const auto state = state_of(method);
                const auto pointer = state.at("queue.pointer").item<std::int64_t>();
                INFO("capacity " << capacity << ", after " << images << " images, next row " << pointer);
                const Tensor oldest_first = state.at("queue.rows").roll(-pointer, 0);
                CHECK(largest_difference(oldest_first, at::stack(std::vector<Tensor>(last.begin(), last.end()))) <
                      1e-6);
            }
        }
}

TEST_CASE("queue and pointer are state: a step after loading is the step that would have been") {
    const auto recipe = small_moco(tiny(), false, 2, true, 20);
    AnyMethod whole = Method{recipe, {.seed = 1}}, other = Method{recipe, {.seed = 1}};
    for (auto* method : {&whole, &other}) method->begin({.samples = 1000, .steps = 4});
    auto optimizer = sgd(whole, 0.05, 0);
    for (int s = 0; s < 2; ++s) step(whole, optimizer, batch_of(6, s));
    {
        const at::NoGradGuard no_grad;
        const auto from = state_of(whole);
        CHECK(from.count("queue.rows") + from.count("queue.pointer") + from.count("queue.filled") == 3);
        CHECK(from.at("queue.pointer").item<std::int64_t>() == 12);
        CHECK(from.at("queue.filled").item<std::int64_t>() == 12);
        for (auto& [name, value] : state_of(other)) value.copy_(from.at(name));
        auto a = whole.counters(), b = other.counters();
        for (std::size_t i = 0; i < a.size(); ++i) *b[i].second = *a[i].second;
    }
    auto second = sgd(other, 0.05, 0);
    for (int s = 2; s < 4; ++s) CHECK(step(whole, optimizer, batch_of(6, s)) == step(other, second, batch_of(6, s)));
    for (const auto& [name, value] : state_of(whole)) CHECK(bit_equal(value, state_of(other).at(name)));
}

TEST_CASE("split or not, a pass counts once in num_batches_tracked, in both networks") {
    for (const std::int64_t groups : {1, 2}) {
        Method method{small_moco(tiny(), true, groups), {.seed = 1}};
        method->forward(batch_of(8));
        for (const char* name : {"encoder.bn.num_batches_tracked", "target.encoder.bn.num_batches_tracked"}) {
            INFO(name << ", " << groups << " groups");
            CHECK(method->named_buffers()[name].item<std::int64_t>() == 2);
        }
    }
}

TEST_CASE("MoCo's target follows m xi + (1 - m) theta by name, with the weights of before the update") {
    follows(small_moco(tiny(), true), targets::EmaTiming::before_forward);
    CHECK(small_moco(tiny()).target.timing == targets::EmaTiming::before_forward);
}

TEST_CASE("MoCo v2's head is the authors', and its momentum stays") {
    const auto recipe = methods::moco_v2(encoders::ResNet{.depth = 50}).recipe;
    CHECK(layers(*recipe.projector.build(2048).module) == "Linear 2048 2048 bias | ReLU | Linear 2048 128 bias");
    CHECK(!recipe.encoder.zero_init_residual);
    CHECK(recipe.loss.temperature == 0.2);
    CHECK(recipe.layout.shuffle_target);
    CHECK(recipe.queue.capacity == 65536);
    CHECK(recipe.target.schedule({}) == 0.999);
    CHECK(recipe.target.schedule({.step = 500, .of = {.steps = 1000}}) == 0.999);
}
