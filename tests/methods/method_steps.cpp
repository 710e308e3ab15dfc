// SPDX-License-Identifier: Apache-2.0
// The presets of the momentum and predictor families: three whole steps against other people's code, and the mistakes
// that are known to be made with them, each as a test that such a mistake would fail.
#include <doppel/encoders/by_name.hpp>
#include <doppel/methods/byol.hpp>
#include <doppel/methods/inst_disc.hpp>
#include <doppel/methods/moco.hpp>
#include <doppel/methods/moco_v3.hpp>
#include <doppel/methods/simsiam.hpp>

#include "support/method_support.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <numbers>
#include <set>

using namespace doppel;
using namespace doppel::test;

namespace {

// ---- networks and values by formula, as in make_method_fixtures.py -------------------------------------------

/// An encoder that methods::moco_v3 takes for a Vision Transformer.
struct TransformerLike {
    VitPositions positions = VitPositions::learned;
    VitInit init = VitInit::dino;
    bool frozen_patches = false;
    TinyNet build() const { return TinyNet(8); }
};

/// Without BatchNorm; writes down what passes through it.
struct WitnessImpl : torch::nn::Module {
    torch::nn::Conv2d conv{nullptr};
    std::vector<Tensor> seen, said;
    WitnessImpl() { conv = register_module("conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 8, 3).stride(2))); }
    Tensor forward(const Tensor& x) {
        const Tensor h = at::relu(conv(x)).mean({2, 3});
        seen.push_back(x.detach());
        said.push_back(h.detach());
        return h;
    }
    std::int64_t feature_dim() const { return 8; }
};
TORCH_MODULE(Witness);

/// The same with BatchNorm and dropout.
struct NormedWitnessImpl : torch::nn::Module {
    torch::nn::Conv2d conv{nullptr};
    torch::nn::BatchNorm2d bn{nullptr};
    torch::nn::Dropout drop{nullptr};
    std::vector<Tensor> seen, said;
    explicit NormedWitnessImpl(double rate = 0) {
        conv = register_module("conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 8, 3).stride(2)));
        bn = register_module("bn", torch::nn::BatchNorm2d(8));
        drop = register_module("drop", torch::nn::Dropout(rate));
    }
    Tensor forward(const Tensor& x) {
        const Tensor h = drop(at::relu(bn(conv(x))).mean({2, 3}));
        seen.push_back(x.detach());
        said.push_back(h.detach());
        return h;
    }
    std::int64_t feature_dim() const { return 8; }
};
TORCH_MODULE(NormedWitness);

auto witness() {
    return [] { return Witness(); };
}
auto normed_witness(double rate = 0) {
    return [rate] { return NormedWitness(rate); };
}

std::map<std::string, Tensor> copy_of(AnyMethod method) {
    auto all = state_of(method);
    for (auto& [name, value] : all) value = value.clone();
    return all;
}

// ---- the presets, small ----------------------------------------------------------------------------------------

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
template <class Encoder>
auto small_moco_v3(Encoder encoder, double temperature = 1) {
    return methods::moco_v3(std::move(encoder), {.temperature = temperature, .momentum = 0.99, .hidden = 16, .out = 12})
        .recipe;
}
template <class Encoder>
auto small_byol(Encoder encoder) {
    return methods::byol(std::move(encoder), {.momentum = 0.9, .hidden = 16, .out = 12}).recipe;
}
template <class Encoder>
auto small_simsiam(Encoder encoder) {
    return methods::simsiam(std::move(encoder), {.out = 12, .bottleneck = 4}).recipe;
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

// ---- three steps as others make them ---------------------------------------------------------------------------

TEST_CASE("three steps of InstDisc equal torch's, with the bank") {
    steps_as("method_steps.txt", "inst_disc",
             methods::inst_disc(tiny(), {.images = 16, .temperature = 0.1, .out = 12, .bank_momentum = 0.5}).recipe,
             {.tight = 1e-6, .loose = 2e-5, .samples = 16, .batch = [](std::int64_t s) {
                  Batch batch = batch_of(6, static_cast<double>(s));
                  batch.views.pop_back();
                  batch.index = (at::arange(6) * 5 + 3 * s).remainder(16);
                  return batch;
              }});
}

TEST_CASE("three steps of MoCo v1 and v2 equal lightly's, with split BatchNorm and both directions") {
    auto v1 =
        methods::moco_v1(tiny(), {.temperature = 0.07, .momentum = 0.9, .queue = 12, .out = 12, .bn_groups = 2}).recipe;
    v1.layout.shuffle_target = false;
    steps_as("method_steps.txt", "moco_v1", v1, {.tight = 1e-6, .loose = 2e-5});
    steps_as("method_steps.txt", "moco_v2", small_moco(tiny()), {.tight = 1e-6, .loose = 2e-5});
    steps_as("method_steps.txt", "moco_v2_split", small_moco(tiny(), false, 2), {.tight = 1e-6, .loose = 2e-5});
    steps_as("method_steps.txt", "moco_v2_symmetric", small_moco(tiny(), true, 1, false, 24), {.tight = 1e-6, .loose = 2e-5});
    steps_as("method_steps.txt", "moco_v2_symmetric_split", small_moco(tiny(), true, 2, false, 24), {.tight = 1e-6, .loose = 2e-5});
}

TEST_CASE("three steps of MoCo v3 equal those of lightly's parts, as for a ResNet and as for a ViT") {
    steps_as("method_steps.txt", "moco_v3", small_moco_v3(tiny()), {.tight = 1e-10, .loose = 2e-3});
    steps_as("method_steps.txt", "moco_v3_vit", small_moco_v3(TransformerLike{}, 0.2), {.tight = 1e-10, .loose = 1e-2});
}

TEST_CASE("three steps of BYOL equal solo-learn's loss on lightly's parts") {
    steps_as("method_steps.txt", "byol", small_byol(tiny()), {.tight = 1e-10, .loose = 5e-4});
}

TEST_CASE("three steps of SimSiam equal lightly's") {
    steps_as("method_steps.txt", "simsiam", small_simsiam(tiny()), {.tight = 1e-10, .loose = 5e-3});
}

// ---- pitfalls 1 to 3: split and shuffled BatchNorm -------------------------------------------------------------

TEST_CASE("without BatchNorm, splitting and shuffling change nothing") {  // pitfalls 1, 2
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

TEST_CASE("key row i is what the key network says of image i") {  // pitfall 2
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

TEST_CASE("with BatchNorm, too, key row i is what the key network said of image i among its company") {
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

TEST_CASE("an image's key has other company than its query") {  // pitfall 1
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
        for (std::int64_t i = 0; i < 4; ++i)  // image 0's neighbors in its query's group
            for (std::int64_t j = 0; j < i; ++j, ++pairs) {
                const auto has = [&](std::int64_t k) {
                    return std::find(first.begin(), first.end(), k) != first.end();
                };
                together += has(i) == has(j);
            }
        method->commit();
    }
    // 3/7 by chance, 1 without shuffling
    CHECK(static_cast<double>(together) / pairs == Approx(3 / 7.0).margin(0.15));
}

TEST_CASE("permutations are functions of seed, step and view; torch's generator is not touched") {  // pitfall 3
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
    CHECK(mentions(message_of([&] { method->forward(batch_of(6)); }), {"bn_groups = 4", "batch of 6", "equal parts"}));
    CHECK(mentions(message_of([&] { method->forward(batch_of(4)); }),
                   {"bn_groups = 4", "batch of 4", "at least 2 images"}));
    CHECK(mentions(message_of([&] { Method{small_moco(tiny(), false, 0)}; }), {"bn_groups", "at least 1", "0"}));
}

// ---- pitfalls 4 to 6: the queue and the bank --------------------------------------------------------------------

TEST_CASE("the loss meets the queue of before its batch") {  // pitfall 4
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

TEST_CASE("one batch can be learnt: the loss goes below 0.1") {
    // pitfall 4: with its own keys in the queue not below log 2
    auto recipe =
        methods::moco_v2(tiny(),
                         {.temperature = 0.1, .momentum = 0.99, .queue = 64, .hidden = 32, .out = 32, .bn_groups = 1})
            .recipe;
    AnyMethod method = Method{recipe, {.seed = 1}};
    fill(method);
    auto optimizer = sgd(method, 0.02);
    const Batch batch = batch_of(6);
    double loss = half_step(method, optimizer, batch);
    CHECK(loss > 1);
    for (int s = 0; s < 300; ++s) {
        method.discard();  // nothing is written: older keys of these six images would be negatives of theirs
        loss = half_step(method, optimizer, batch);
    }
    CHECK(loss < 0.1);
}

TEST_CASE("a queue that holds more than a quarter of the images gives a warning") {  // pitfall 5
    AnyMethod method = Method{small_moco(tiny(), false, 1, false, 20)};
    CHECK(method.begin({.samples = 80, .steps = 10}).empty());
    const auto warnings = method.begin({.samples = 79, .steps = 10});
    REQUIRE(warnings.size() == 1);
    CHECK(mentions(warnings[0], {"Fifo", "20", "79", "quarter"}));
    const auto cifar = methods::moco_v2_small;
    CHECK(4 * cifar.queue <= 50000);
    CHECK(cifar.momentum == 0.99);
}

TEST_CASE("the queue is the last keys in order, for any batch size, as a plain list of them") {  // pitfall 6
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

TEST_CASE("queue and pointer are state: a step after loading is the step that would have been") {  // pitfall 6
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

TEST_CASE("a bank's row follows its image's embeddings, and only its image's") {
    auto recipe = methods::inst_disc(tiny(), {.images = 9, .out = 12, .bank_momentum = 0.3}).recipe;
    AnyMethod method = Method{recipe, {.seed = 1}};
    method.begin({.samples = 9, .steps = 4});
    const Tensor start = state_of(method).at("queue.rows").clone();
    CHECK(largest_difference(start.norm(2, 1), at::ones({9})) < 1e-6);
    Batch batch = batch_of(4);
    batch.views.pop_back();
    batch.index = at::tensor({7, 0, 3, 8}, at::kLong);
    auto optimizer = sgd(method);
    half_step(method, optimizer, batch);
    CHECK(bit_equal(state_of(method).at("queue.rows"), start));  // forward reads
    const Tensor v = unit(method.last()[0].online[0]);
    method.commit();
    const Tensor rows = state_of(method).at("queue.rows");
    CHECK(largest_difference(rows.index_select(0, batch.index),
                             unit(start.index_select(0, batch.index) * 0.3 + v * 0.7)) < 1e-6);
    const Tensor rest = at::tensor({1, 2, 4, 5, 6}, at::kLong);
    CHECK(bit_equal(rows.index_select(0, rest), start.index_select(0, rest)));
    CHECK(mentions(message_of([&] { method.begin({.samples = 10, .steps = 4}); }), {"Bank", "9", "10 images"}));
    CHECK(mentions(message_of([] { queues::MemoryBank{}.build(4); }), {"Bank", "size", "0"}));
    CHECK(mentions(message_of([] { queues::MemoryBank{.size = 3, .momentum = 1}.build(4); }),
                   {"Bank", "momentum", "below 1", "1"}));
}

// ---- pitfalls 7 to 10: the target -------------------------------------------------------------------------------

namespace {
/// One step: each target parameter becomes m·itself + (1 − m)·its namesake, of before the update or of after it.
template <class R>
void follows(const R& recipe, targets::EmaTiming when) {
    for (const double m : {0.0, 0.7, 1.0}) {
        AnyMethod method =
            Method{recipe.with_target(targets::Ema{.schedule = schedules::Constant{m}, .timing = when}), {.seed = 1}};
        fill(method);
        method.begin({.samples = 1000, .steps = 3});
        const auto start = copy_of(method);
        auto optimizer = sgd(method);
        half_step(method, optimizer, batch_of(6));
        const auto updated = copy_of(method);
        const at::NoGradGuard no_grad;
        for (auto& [name, value] : state_of(method))
            if (name.rfind("target.", 0) != 0 && name.find("running_") != std::string::npos) value.fill_(1000);
        method.commit();
        int compared = 0, moved = 0;
        for (const auto& item : method.module().named_parameters()) {
            if (item.key().rfind("target.", 0) != 0) continue;
            INFO(item.key() << ", m = " << m);
            const auto namesake = item.key().substr(7);
            const Tensor& before = start.at(item.key());
            const Tensor& online = when == targets::EmaTiming::after_step ? updated.at(namesake) : start.at(namesake);
            CHECK(largest_difference(item.value(), before * m + online * (1 - m)) < 5e-7);
            if (m == 0) CHECK(bit_equal(item.value().detach(), online));
            if (m == 1) CHECK(bit_equal(item.value().detach(), before));
            moved += largest_difference(updated.at(namesake), start.at(namesake)) > 1e-5;
            ++compared;
        }
        CHECK(compared >= 8);
        CHECK(moved >= 4);  // the update is large enough to tell before from after
        for (const auto& [name, value] : state_of(method))
            if (name.rfind("target.", 0) == 0 && name.find("running_") != std::string::npos) {
                INFO(name);
                CHECK(largest_difference(value, at::zeros_like(value)) < 100);  // buffers are not averaged
            }
    }
}
}  // namespace

TEST_CASE("the target follows m xi + (1 - m) theta by name, with the weights of before or after the update") {
    // pitfall 7
    follows(small_moco(tiny(), true), targets::EmaTiming::before_forward);
    follows(small_moco_v3(tiny()), targets::EmaTiming::before_forward);
    follows(small_byol(tiny()), targets::EmaTiming::after_step);
    CHECK(small_moco(tiny()).target.timing == targets::EmaTiming::before_forward);
    CHECK(small_moco_v3(tiny()).target.timing == targets::EmaTiming::before_forward);
    CHECK(small_byol(tiny()).target.timing == targets::EmaTiming::after_step);
}

TEST_CASE("the target's weights are float32 and do not stop moving") {  // pitfall 8: half types drop changes this small
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

TEST_CASE("the target keeps batch statistics of its own, and drops nothing") {  // pitfall 9
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

TEST_CASE("nothing flows back into a target, and predictions are made by the online branch alone") {  // pitfall 10
    const auto check = [](auto recipe) {
        bool target_has_gradient = true;
        auto watched = recipe.with_loss([&, loss = recipe.loss](const Tensor& p, const Tensor& z) {
            target_has_gradient = z.requires_grad();
            return loss(p, z);
        });
        Method method{watched.with_pairing(typename decltype(recipe.loss)::Pairing{}), {.seed = 1}};
        method->begin({.samples = 1000, .steps = 3});
        method->forward(batch_of(6)).backward();
        CHECK(!target_has_gradient);
        for (const auto& item : method->named_parameters()) {
            INFO(item.key());
            if (item.key().rfind("target.", 0) == 0) {
                CHECK(!item.value().requires_grad());
                CHECK(!item.value().grad().defined());
            } else if (item.value().requires_grad()) {
                CHECK(item.value().grad().defined());
            }
            CHECK(item.key().find("target.predictor") == std::string::npos);
        }
        const auto& out = method->last()[0];
        for (std::size_t view = 0; view < 2; ++view) {  // the target starts as a copy: what it gives is the projection
            CHECK(largest_difference(out.target[view], out.projected[view]) < 1e-5);
            CHECK(largest_difference(out.online[view], out.projected[view]) > 1e-2);
        }
    };
    check(small_simsiam(tiny()));
    check(small_byol(tiny()));
    check(small_moco_v3(tiny()));
    check(small_moco_v3(TransformerLike{}));
}

// ---- pitfalls 11, 17, 21: what the heads are made of -------------------------------------------------------------

TEST_CASE("SimSiam's heads are the authors', and its predictor's learning rate stays where it starts") {  // pitfall 11
    const auto preset = methods::simsiam(encoders::ResNet{.depth = 50});
    CHECK(layers(*preset.recipe.projector.build(2048).module) ==
          "Linear 2048 2048 | BatchNorm 2048 | ReLU | Linear 2048 2048 | BatchNorm 2048 | ReLU | "
          "Linear 2048 2048 frozen bias | BatchNorm 2048 plain");
    CHECK(layers(*preset.recipe.predictor.build(2048).module) ==
          "Linear 2048 512 | BatchNorm 512 | ReLU | Linear 512 2048 bias");
    CHECK(layers(*methods::simsiam(tiny(), methods::simsiam_small).recipe.projector.build(512).module) ==
          "Linear 512 512 | BatchNorm 512 | ReLU | Linear 512 512 frozen bias | BatchNorm 512 plain");
    CHECK(preset.recipe.encoder.zero_init_residual);

    for (const bool fixed : {true, false}) {
        const auto small =
            methods::simsiam(tiny(), {.weight_decay = 0, .out = 12, .bottleneck = 4, .fix_predictor_lr = fixed});
        AnyMethod method = Method{small.recipe, {.seed = 1}};
        fill(method);
        auto optimizer = small.optimizer.build(method.trainable());
        std::size_t parameters = 0;
        for (const auto& group : optimizer.groups())
            for (const auto& [name, value] : group.parameters) {
                INFO(name);
                const bool predictor = name.rfind("predictor.", 0) == 0;
                CHECK(group.fixed_lr.has_value() == (fixed && predictor));
                if (group.fixed_lr) CHECK(*group.fixed_lr == Approx(0.05 * 512 / 256));
                ++parameters;
            }
        CHECK(parameters == method.trainable().size());
        const auto start = copy_of(method);
        method.forward(batch_of(6)).backward();
        optimizer.step(0);  // the end of the cosine
        for (const auto& [name, value] : method.trainable()) {
            INFO(name);
            const bool moved = !bit_equal(value.detach(), start.at(name));
            CHECK(moved == (fixed && name.rfind("predictor.", 0) == 0));
        }
        CHECK(!start.at("projector.6.bias").requires_grad());
    }
    CHECK(preset.lr({.step = 0, .of = {.steps = 100}}) == Approx(0.1));
    CHECK(preset.lr({.step = 100, .of = {.steps = 100}}) == Approx(0).margin(1e-12));
}

TEST_CASE("MoCo v3's heads are the authors', for a ResNet and for a ViT") {  // pitfall 17
    const auto resnet = methods::moco_v3(encoders::ResNet{.depth = 50}).recipe;
    CHECK(layers(*resnet.projector.build(2048).module) ==
          "Linear 2048 4096 | BatchNorm 4096 | ReLU | Linear 4096 256 | BatchNorm 256 plain");
    CHECK(layers(*resnet.predictor.build(256).module) == "Linear 256 4096 | BatchNorm 4096 | ReLU | Linear 4096 256");
    CHECK(resnet.loss.temperature == 1);
    CHECK(resnet.encoder.zero_init_residual);

    const auto vit = methods::moco_v3(encoders::Vit{.kind = VitKind::s, .heads = 12}, methods::moco_v3_vit).recipe;
    const std::string projector =
        "Linear 384 4096 | BatchNorm 4096 | ReLU | Linear 4096 4096 | BatchNorm 4096 | ReLU | "
        "Linear 4096 256 | BatchNorm 256 plain";
    const std::string predictor = "Linear 256 4096 | BatchNorm 4096 | ReLU | Linear 4096 256 | BatchNorm 256 plain";
    CHECK(layers(*vit.projector.build(384).module) == projector);
    CHECK(layers(*vit.predictor.build(256).module) == predictor);
    CHECK(vit.loss.temperature == 0.2);
    CHECK(vit.encoder.frozen_patches);
    CHECK(vit.encoder.positions == VitPositions::sin_cos);
    CHECK(vit.encoder.init == VitInit::moco_v3);
    // the same where the encoder is chosen at run time
    CHECK(layers(*methods::moco_v3(encoders::ByName(encoders::Vit{}), {.hidden = 6, .out = 4})
                      .recipe.predictor.build(4)
                      .module) == "Linear 4 6 | BatchNorm 6 | ReLU | Linear 6 4 | BatchNorm 4 plain");
    CHECK(layers(*methods::moco_v3(encoders::ByName(encoders::ResNet{}), {.hidden = 6, .out = 4})
                      .recipe.predictor.build(4)
                      .module) == "Linear 4 6 | BatchNorm 6 | ReLU | Linear 6 4");
}

TEST_CASE("BYOL's heads are the authors'") {  // pitfall 21
    const auto recipe = methods::byol(encoders::ResNet{.depth = 50}).recipe;
    CHECK(layers(*recipe.projector.build(2048).module) ==
          "Linear 2048 4096 bias | BatchNorm 4096 | ReLU | Linear 4096 256");
    CHECK(layers(*recipe.predictor.build(256).module) ==
          "Linear 256 4096 bias | BatchNorm 4096 | ReLU | Linear 4096 256");
}

TEST_CASE("the heads of InstDisc and MoCo are the authors'") {
    const auto encoder = encoders::ResNet{.depth = 50};
    CHECK(layers(*methods::inst_disc(encoder, {.images = 4}).recipe.projector.build(2048).module) ==
          "Linear 2048 128 bias");
    CHECK(layers(*methods::moco_v1(encoder).recipe.projector.build(2048).module) == "Linear 2048 128 bias");
    CHECK(layers(*methods::moco_v2(encoder).recipe.projector.build(2048).module) ==
          "Linear 2048 2048 bias | ReLU | Linear 2048 128 bias");
    CHECK(!methods::moco_v2(encoder).recipe.encoder.zero_init_residual);
    CHECK(methods::moco_v1(encoder).recipe.loss.temperature == 0.07);
    CHECK(methods::moco_v2(encoder).recipe.loss.temperature == 0.2);
    CHECK(methods::moco_v2(encoder).recipe.layout.shuffle_target);
    CHECK(methods::moco_v2(encoder).recipe.queue.capacity == 65536);
}

TEST_CASE("BYOL's and MoCo v3's momentum rises step by step from its start to exactly 1; MoCo's stays") {  // pitfall 21
    const auto check = [](const auto& schedule, double start) {
        const auto at = [&](std::int64_t step) {
            return schedule(Progress{.step = step, .of = {.samples = 1000, .steps = 77}});
        };
        CHECK(at(0) == start);
        CHECK(at(77) == 1);
        CHECK(at(38) + at(39) == Approx(1 + start));
        for (std::int64_t s = 0; s < 77; ++s) CHECK(at(s) < at(s + 1));
        CHECK(at(20) == Approx(1 - (1 - start) * (1 + std::cos(std::numbers::pi * 20 / 77)) / 2).epsilon(1e-14));
    };
    check(methods::byol(tiny()).recipe.target.schedule, 0.99);
    check(methods::byol(tiny(), {.momentum = 0.996}).recipe.target.schedule, 0.996);
    check(methods::moco_v3(tiny()).recipe.target.schedule, 0.99);
    for (const std::int64_t s : {0, 50, 100})
        CHECK(methods::moco_v2(tiny()).recipe.target.schedule({.step = s, .of = {.steps = 100}}) == 0.999);
}
