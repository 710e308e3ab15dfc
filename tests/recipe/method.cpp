// SPDX-License-Identifier: Apache-2.0
// The slots, proven before they are built upon: one small method of each family compiles, steps and resumes.
#include <doppel/recipe/any_method.hpp>
#include <doppel/recipe/method.hpp>

#include <doppel/heads/linear.hpp>
#include <doppel/heads/mlp.hpp>
#include <doppel/losses/barlow_twins.hpp>
#include <doppel/losses/nt_xent.hpp>
#include <doppel/queues/fifo.hpp>
#include <doppel/schedules/schedules.hpp>
#include <doppel/targets/ema.hpp>
#include <doppel/targets/stop_gradient.hpp>

#include <torch/nn/functional/normalization.h>

#include "support/torch_support.hpp"

#include <limits>

#include <map>
#include <set>

using namespace doppel;
using namespace doppel::test;
namespace nnf = torch::nn::functional;

namespace {

// ---- losses of a user ---------------------------------------------------------------------------------

struct InfoNce {  // MoCo
    double temperature = 0.2;
    Tensor operator()(const Tensor& q, const Tensor& k, const Tensor& memory) const {
        const Tensor a = nnf::normalize(q), b = nnf::normalize(k.detach());
        const Tensor logits = at::cat({(a * b).sum(1, true), a.mm(memory.t())}, 1) / temperature;
        return at::cross_entropy_loss(logits, at::zeros({q.size(0)}, at::kLong));
    }
};

struct Byol {
    using Pairing = pairings::Symmetric;
    Tensor operator()(const Tensor& p, const Tensor& z) const { return (2 - 2 * at::cosine_similarity(p, z)).mean(); }
};

struct DinoLike {  // state: a center that is a buffer
    using Pairing = pairings::GlobalToAll;
    double student = 0.1, teacher = 0.04, momentum = 0.9;
    Tensor center{};
    void build(std::int64_t dim) { center = at::zeros({1, dim}); }
    template <class V>
    void state(V&& visit) {
        visit("center", center);
    }
    Tensor operator()(const Tensor& s, const Tensor& t) const {
        return -(((t - center) / teacher).softmax(1) * (s / student).log_softmax(1)).sum(1).mean();
    }
    void commit(const Outputs& out) {
        std::vector<Tensor> seen;
        for (const Tensor& t : out.target)
            if (t.defined()) seen.push_back(t);
        center.lerp_(at::cat(seen).mean(0, true), 1 - momentum);
    }
};

struct SwavLike {  // state: prototypes that are a parameter of the method
    std::int64_t count = 6;
    Tensor prototypes{};
    void build(std::int64_t dim) { prototypes = nnf::normalize(at::randn({count, dim})).requires_grad_(); }
    template <class V>
    void state(V&& visit) {
        visit("prototypes", prototypes);
    }
    Tensor operator()(const Outputs& out) const {
        const Tensor a = nnf::normalize(out.online[0]).mm(prototypes.t()), b = nnf::normalize(out.online[1]).mm(prototypes.t());
        const auto codes = [](const Tensor& s) { return (s.detach() / 0.05).softmax(1); };
        return -0.5 * ((codes(a) * (b / 0.1).log_softmax(1)).sum(1).mean() + (codes(b) * (a / 0.1).log_softmax(1)).sum(1).mean());
    }
    void commit(const Outputs&) { prototypes.detach().copy_(nnf::normalize(prototypes.detach())); }
};

struct MmcrLike {
    Tensor operator()(const Outputs& out) const {
        const Tensor online = at::stack({nnf::normalize(out.online[0]), nnf::normalize(out.online[1])}).mean(0);
        const Tensor target = at::stack({nnf::normalize(out.target[0]), nnf::normalize(out.target[1])}).mean(0);
        return -at::linalg_svdvals((online + target) / 2).sum();
    }
};

struct SupconLike {
    Tensor operator()(const Outputs& out) const {
        const Tensor z = nnf::normalize(at::cat({out.online[0], out.online[1]})), labels = at::cat({out.label, out.label});
        const auto n = z.size(0);
        const Tensor self = at::eye(n, at::kBool);
        const Tensor s = (z.mm(z.t()) / 0.1).masked_fill(self, -1e9);
        const Tensor same = (labels.unsqueeze(0) == labels.unsqueeze(1)).logical_and(self.logical_not()).to(at::kFloat);
        return -((s.log_softmax(1) * same).sum(1) / same.sum(1)).mean();
    }
};

auto projector() { return heads::Mlp{.hidden = {16}, .out = 12}; }
auto simclr() { return Recipe{.encoder = tiny(), .projector = projector(), .loss = losses::NtXent{.temperature = 0.5}}; }
auto moco() {
    return Recipe{.encoder = tiny(),
                  .projector = heads::Mlp{.hidden = {16}, .out = 12, .norm = false},
                  .target = targets::Ema{.schedule = schedules::Constant{0.9}, .timing = targets::EmaTiming::before_forward},
                  .queue = queues::Fifo{.capacity = 20},
                  .loss = InfoNce{}};
}
auto byol() {
    return Recipe{.encoder = tiny(),
                  .projector = projector(),
                  .predictor = heads::Mlp{.hidden = {16}, .out = 12},
                  .target = targets::Ema{.schedule = schedules::Constant{0.9}},
                  .loss = Byol{}};
}
auto simsiam() {
    return Recipe{.encoder = tiny(),
                  .projector = projector(),
                  .predictor = heads::Mlp{.hidden = {4}, .out = 12},
                  .target = targets::StopGradient{},
                  .pairing = pairings::Symmetric{.reduce = pairings::Reduce::mean},
                  .loss = [](const Tensor& p, const Tensor& z) { return -at::cosine_similarity(p, z).mean(); }};
}
auto dino() {
    return Recipe{.encoder = tiny(),
                  .projector = heads::Mlp{.hidden = {16}, .out = 24},
                  .target = targets::Ema{.schedule = schedules::Cosine{.from = 0.9, .to = 1}},
                  .loss = DinoLike{},
                  .layout = {.join_views = true}};
}
auto swav() { return Recipe{.encoder = tiny(), .projector = projector(), .loss = SwavLike{}}; }
auto mmcr() {
    return Recipe{.encoder = tiny(), .projector = projector(), .target = targets::Ema{.schedule = schedules::Constant{0.9}}, .loss = MmcrLike{}};
}
auto supcon() { return Recipe{.encoder = tiny(), .projector = projector(), .loss = SupconLike{}}; }
auto lambda() {
    return simclr().with_loss([](const Tensor& a, const Tensor& b) { return (a - b).pow(2).mean(); });
}

void step(AnyMethod method, torch::optim::Optimizer& optimizer, const Batch& batch) {
    const Tensor loss = method.forward(batch);
    REQUIRE(std::isfinite(loss.item<double>()));
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    method.commit();
}

torch::optim::SGD sgd(AnyMethod method) {
    std::vector<Tensor> parameters;
    for (auto& [name, value] : method.trainable()) parameters.push_back(value);
    return torch::optim::SGD(parameters, torch::optim::SGDOptions(0.05));
}

std::map<std::string, Tensor> state_of(AnyMethod method) {
    std::map<std::string, Tensor> all;
    for (const auto& item : method.module().named_parameters()) all[item.key()] = item.value().detach();
    for (const auto& item : method.module().named_buffers()) all[item.key()] = item.value();
    return all;
}

/// Four steps at once equal two steps, a copy of the state into a method of another seed, and two steps.
template <class R>
void steps_and_resumes(const R& recipe, int locals = 0) {
    AnyMethod whole = Method{recipe, {.seed = 1}}, half = Method{recipe, {.seed = 1}}, other = Method{recipe, {.seed = 2}};
    for (auto* m : {&whole, &half, &other}) m->begin({.samples = 64, .steps = 4});
    {
        auto optimizer = sgd(whole);
        for (int i = 0; i < 4; ++i) step(whole, optimizer, batch_of(6, i, locals));
    }
    {
        auto optimizer = sgd(half);
        for (int i = 0; i < 2; ++i) step(half, optimizer, batch_of(6, i, locals));
    }
    {
        const at::NoGradGuard no_grad;
        auto from = state_of(half), to = state_of(other);
        REQUIRE(from.size() == to.size());
        for (auto& [name, value] : to) value.copy_(from.at(name));
        auto a = half.counters(), b = other.counters();
        for (std::size_t i = 0; i < a.size(); ++i) *b[i].second = *a[i].second;
    }
    {
        auto optimizer = sgd(other);
        for (int i = 2; i < 4; ++i) step(other, optimizer, batch_of(6, i, locals));
    }
    for (const auto& [name, value] : state_of(whole)) {
        INFO(name);
        CHECK(bit_equal(value, state_of(other).at(name)));
    }
}

std::set<std::string> names_of(AnyMethod method) {
    std::set<std::string> names;
    for (const auto& [name, value] : state_of(method)) names.insert(name);
    return names;
}

}  // namespace

TEST_CASE("a method of each family compiles, steps and resumes bit for bit") {
    SECTION("SimCLR") { steps_and_resumes(simclr()); }
    SECTION("MoCo with a queue") { steps_and_resumes(moco()); }
    SECTION("BYOL") { steps_and_resumes(byol()); }
    SECTION("SimSiam") { steps_and_resumes(simsiam()); }
    SECTION("DINO with two global and three local crops") { steps_and_resumes(dino(), 3); }
    SECTION("SwAV with prototypes") { steps_and_resumes(swav()); }
    SECTION("MMCR with an Ema target") { steps_and_resumes(mmcr()); }
    SECTION("SupCon with labels") { steps_and_resumes(supcon()); }
    SECTION("a lambda as loss") { steps_and_resumes(lambda()); }
}

TEST_CASE("the names of a method's state are fixed") {
    const auto moco_names = names_of(Method{moco()});
    for (auto* name : {"encoder.conv.weight", "encoder.bn.running_mean", "projector.0.weight", "target.encoder.conv.weight",
                       "target.projector.0.weight", "queue.rows", "queue.pointer"})
        CHECK(moco_names.count(name) == 1);
    CHECK(names_of(Method{byol()}).count("predictor.0.weight") == 1);
    CHECK(names_of(Method{byol()}).count("target.predictor.0.weight") == 0);
    CHECK(names_of(Method{dino()}).count("loss.center") == 1);
    CHECK(names_of(Method{swav()}).count("loss.prototypes") == 1);
}

TEST_CASE("a method is built under its own seed and leaves torch's generator alone") {
    at::manual_seed(5);
    const Tensor expected = at::rand({3});
    at::manual_seed(5);
    AnyMethod a = Method{moco(), {.seed = 3}}, b = Method{moco(), {.seed = 3}}, c = Method{moco(), {.seed = 4}};
    CHECK(bit_equal(at::rand({3}), expected));
    CHECK(bit_equal(state_of(a).at("encoder.conv.weight"), state_of(b).at("encoder.conv.weight")));
    CHECK(bit_equal(state_of(a).at("queue.rows"), state_of(b).at("queue.rows")));
    CHECK(!bit_equal(state_of(a).at("encoder.conv.weight"), state_of(c).at("encoder.conv.weight")));
}

TEST_CASE("two methods from one recipe share nothing, also where the loss has state") {
    const auto recipe = swav();
    AnyMethod a = Method{recipe}, b = Method{recipe};
    for (const auto& [name, value] : state_of(a)) CHECK(!value.is_alias_of(state_of(b).at(name)));
}

TEST_CASE("the loss sees the state that the method registered, also after a change of type") {
    Method method{dino()};
    method->to(at::kDouble);
    CHECK(method->recipe.loss.center.scalar_type() == at::kDouble);
    CHECK(method->recipe.loss.center.is_alias_of(method->named_buffers()["loss.center"]));
}

TEST_CASE("the Ema target starts as a copy, gets no gradient, and follows m xi + (1 - m) theta over parameters only") {
    Method method{byol(), {.seed = 1}};
    AnyMethod any = method;
    auto before = state_of(any);
    std::map<std::string, Tensor> start;
    for (auto& [name, value] : before) start[name] = value.clone();
    CHECK(bit_equal(start.at("target.encoder.conv.weight"), start.at("encoder.conv.weight")));
    for (const auto& [name, value] : any.trainable()) CHECK(name.find("target.") == std::string::npos);
    auto optimizer = sgd(any);
    step(any, optimizer, batch_of(6));
    for (const auto& item : method->named_parameters()) {
        if (item.key().rfind("target.", 0) != 0) continue;
        CHECK(!item.value().grad().defined());
        const Tensor expected = start.at(item.key()) * 0.9 + method->named_parameters()[item.key().substr(7)].detach() * 0.1;
        CHECK(largest_difference(item.value(), expected) < 3e-7);
    }
    // batch statistics are the target's own: it saw other outputs than an average would give, and counted one pass a view
    CHECK(method->named_buffers()["target.encoder.bn.num_batches_tracked"].item<std::int64_t>() == 2);
}

TEST_CASE("an Ema before the key pass uses the weights of before the update, once an optimizer step") {
    Method method{moco(), {.seed = 1}};
    AnyMethod any = method;
    auto optimizer = sgd(any);
    auto weight = [&](const char* name) { return method->named_parameters()[name].detach().clone(); };
    const Tensor start = weight("encoder.conv.weight");
    step(any, optimizer, batch_of(6));
    CHECK(largest_difference(weight("target.encoder.conv.weight"), start) < 1e-7);  // followed the weights it is a copy of
    const Tensor first = weight("encoder.conv.weight");
    any.forward(batch_of(6, 1));
    const Tensor followed = weight("target.encoder.conv.weight");
    CHECK(largest_difference(followed, start * 0.9 + first * 0.1) < 1e-7);
    any.forward(batch_of(6, 2));  // a second micro-batch of the same step
    CHECK(bit_equal(weight("target.encoder.conv.weight"), followed));
    any.discard();
    any.forward(batch_of(6, 3));  // the step anew
    CHECK(bit_equal(weight("target.encoder.conv.weight"), followed));
}

TEST_CASE("a step that is thrown away leaves no trace in queue, Ema and center") {
    Method method{moco(), {.seed = 1}};
    const Tensor rows = method->named_buffers()["queue.rows"].clone();
    method->forward(batch_of(6));
    method->discard();
    CHECK(bit_equal(method->named_buffers()["queue.rows"], rows));
    CHECK(method->at.step == 0);
    method->forward(batch_of(6));
    CHECK(bit_equal(method->named_buffers()["queue.rows"], rows));  // forward only reads
    method->commit();
    CHECK(!bit_equal(method->named_buffers()["queue.rows"], rows));
    CHECK(method->named_buffers()["queue.pointer"].item<std::int64_t>() == 6);
}

TEST_CASE("a skipped step leaves nothing behind but its place in the schedule: running statistics, memory and Ema are as before") {
    const auto check = [](const auto& recipe) {
        Method method{recipe, {.seed = 1}}, other{recipe, {.seed = 1}};
        for (auto* m : {&method, &other}) (*m)->begin({.samples = 64, .steps = 4}), (*m)->forward(batch_of(6)), (*m)->commit();
        Batch bad = batch_of(6, 1);
        bad.views[0].fill_(std::numeric_limits<float>::quiet_NaN());
        CHECK(std::isnan(method->forward(bad).template item<double>()));
        method->skip();
        CHECK(method->at.step == 2);
        CHECK(method->skipped() == 1);
        for (auto* m : {&method, &other}) (*m)->forward(batch_of(6, 2)), (*m)->commit();  // the Ema follows once
        const auto left = state_of(method), right = state_of(other);
        for (const auto& [name, value] : left) {
            INFO(name);
            CHECK(bit_equal(value, right.at(name)));
        }
    };
    check(moco());
    check(byol());
    check(dino());
}

TEST_CASE("several forward passes before one commit count as one step and write all their keys") {
    Method method{moco(), {.seed = 1}};
    method->forward(batch_of(6));
    method->forward(batch_of(6, 1));
    method->commit();
    CHECK(method->at.step == 1);
    CHECK(method->named_buffers()["queue.pointer"].item<std::int64_t>() == 12);
}

TEST_CASE("no gradient reaches a target: SimSiam's target outputs and MoCo's keys") {
    bool target_has_gradient = true;
    auto recipe = simsiam().with_loss([&](const Tensor& p, const Tensor& z) {
        target_has_gradient = z.requires_grad();
        return -at::cosine_similarity(p, z).mean();
    });
    Method{recipe}->forward(batch_of(6));
    CHECK(!target_has_gradient);
    auto shared = recipe.with_target(targets::Shared{});
    Method{shared}->forward(batch_of(6));
    CHECK(target_has_gradient);
    bool key_has_gradient = true, query_has_gradient = false;
    Method{moco().with_loss([&](const Tensor& q, const Tensor& k, const Tensor& memory) {
        query_has_gradient = q.requires_grad();
        key_has_gradient = k.requires_grad() || memory.requires_grad();
        return q.mm(memory.t()).sum() - (q * k).sum();
    })}->forward(batch_of(6)).backward();
    CHECK(query_has_gradient);
    CHECK(!key_has_gradient);
}

TEST_CASE("pairing decides what each branch sees before the forward pass") {
    int calls = 0;
    std::vector<bool> online, target;
    auto look = [&](const Outputs& out) {
        ++calls;
        online.clear();
        target.clear();
        for (const Tensor& z : out.online) online.push_back(z.defined());
        for (const Tensor& z : out.target) target.push_back(z.defined());
        Tensor sum;
        for (const Tensor& z : out.online)
            if (z.defined()) sum = sum.defined() ? sum + z.sum() : z.sum();
        return sum;
    };
    const auto recipe = byol().with_loss(look);
    Method{recipe.with_pairing(pairings::OneSided{})}->forward(batch_of(6));
    CHECK(online == std::vector<bool>{true, false});
    CHECK(target == std::vector<bool>{false, true});
    Method{recipe.with_pairing(pairings::GlobalToAll{})}->forward(batch_of(6, 0, 2));
    CHECK(online == std::vector<bool>{true, true, true, true});
    CHECK(target == std::vector<bool>{true, true, false, false});  // the teacher never sees local crops
}

TEST_CASE("views of one size pass together when joined: one BatchNorm batch a size") {
    Method joined{dino()};
    Method apart{simclr()};
    joined->forward(batch_of(6, 0, 3));
    CHECK(joined->named_buffers()["encoder.bn.num_batches_tracked"].item<std::int64_t>() == 2);
    apart->forward(batch_of(6));
    CHECK(apart->named_buffers()["encoder.bn.num_batches_tracked"].item<std::int64_t>() == 2);
}

TEST_CASE("the loss computes in float32 although the network runs in bfloat16") {
    at::ScalarType seen = at::kDouble, product = at::kDouble;
    Method method{simclr().with_loss([&](const Tensor& a, const Tensor& b) {
        seen = a.scalar_type();
        product = a.mm(b.t()).scalar_type();
        return (a - b).pow(2).mean();
    })};
    const Autocast scope(at::kCPU, Precision::bf16);
    method->forward(batch_of(6)).backward();
    CHECK(seen == at::kFloat);
    CHECK(product == at::kFloat);
    CHECK(method->named_parameters()["encoder.conv.weight"].grad().scalar_type() == at::kFloat);
}

TEST_CASE("a user's head may be a callable; its output width is found by trial") {
    Method method{simclr().with_projector([](std::int64_t in) { return torch::nn::Linear(in, 5); })};
    CHECK(method->embedding_dim() == 5);
    CHECK(method->feature_dim() == 8);
    CHECK(method->forward(batch_of(4)).dim() == 0);
}

TEST_CASE("a head of a width that cannot be is refused when the method is built") {
    says([] { Method{byol().with_predictor(heads::Mlp{.hidden = {4}, .out = 7})}; }, {"Recipe.predictor", "7", "12"});
    says([] { Method{simclr().with_projector(heads::Mlp{.out = 0})}; }, {"Mlp", "out", "0"});
}

TEST_CASE("an encoder that gives the same module twice is refused when the target needs one of its own") {
    const auto net = std::make_shared<TinyNetImpl>(8);
    says([&] { Method{byol().with_encoder([&] { return net; })}; }, {"Recipe.target", "share", "new module"});
}

TEST_CASE("a loss that gives no scalar, and a batch with fewer views than the pairing asks for, are refused in the first step") {
    Method vector{simclr().with_loss([](const Tensor& a, const Tensor& b) { return (a - b).pow(2).mean(1); })};
    says([&] { vector->forward(batch_of(6)); }, {"Recipe.loss", "scalar", "[6]"});
    Method one_view{simclr()};
    Batch batch = batch_of(6);
    batch.views.pop_back();
    says([&] { one_view->forward(batch); }, {"Recipe.pairing", "view 1", "has 1"});
}

TEST_CASE("an Ema that would overshoot is refused at the update") {
    Method method{byol().with_target(targets::Ema{.schedule = schedules::Constant{1.5}})};
    method->forward(batch_of(6));
    says([&] { method->commit(); }, {"Ema", "between 0 and 1", "1.5"});
}

TEST_CASE("a pair loss whose pairing leaves views of the batch unseen is refused at the first forward pass") {
    const auto paired = Recipe{.encoder = tiny(), .projector = projector(), .loss = losses::BarlowTwins{}};
    Method once{paired};
    CHECK(mentions(message_of([&] { once->forward(batch_of(6, 0, 3)); }), {"Recipe.pairing", "2 of the batch's 5 views", "EachPairOnce"}));
    CHECK(once->last().empty());
    CHECK(Method{paired.with_pairing(pairings::EachPairOnce{})}->forward(batch_of(6, 0, 3)).dim() == 0);
    Method both{byol()};
    CHECK(mentions(message_of([&] { both->forward(batch_of(6, 0, 1)); }), {"2 of the batch's 3 views"}));
}

TEST_CASE("NtXent takes two views as a pair and more as one pool, unless the recipe pairs them") {
    const Batch two = batch_of(6), five = batch_of(6, 0, 3);
    const auto online_of = [](Method<decltype(simclr())>& method) { return method->last().back().online; };
    Method method{simclr(), {.seed = 1}};
    const double pair = method->forward(two).item<double>();
    auto z = online_of(method);
    CHECK(pair == losses::NtXent{0.5}(z[0], z[1]).item<double>());
    method->discard();
    const double pool = method->forward(five).item<double>();
    z = online_of(method);
    REQUIRE(z.size() == 5);
    Outputs all;
    all.online = all.target = z;
    CHECK(pool == losses::NtXent{0.5}(all).item<double>());

    Method paired{simclr().with_pairing(pairings::EachPairOnce{}), {.seed = 1}};
    double mean = 0;
    for (std::size_t a = 0; a < 5; ++a)
        for (std::size_t b = a + 1; b < 5; ++b) mean += losses::NtXent{0.5}(z[a], z[b]).item<double>() / 10;
    CHECK(paired->forward(five).item<double>() == Approx(mean).epsilon(1e-5));
}

TEST_CASE("an optimizer step without commit() is told at the next forward pass") {
    AnyMethod method = Method{moco(), {.seed = 1}};
    auto optimizer = sgd(method);
    const auto pass = [&] {
        optimizer.zero_grad();
        method.forward(batch_of(6)).backward();
    };
    const auto forgotten = [&] { return message_of([&] { method.forward(batch_of(6)); }); };
    pass();
    pass();  // accumulates
    optimizer.step();
    CHECK(mentions(forgotten(), {"weights have changed", "commit()", "discard()", "skip()"}));
    method.commit();
    pass();
    optimizer.step();
    method.skip();
    pass();
    optimizer.step();
    method.module().eval();
    CHECK(forgotten() == "");  // evaluation between a step and its commit
    method.module().train();
    CHECK(forgotten() != "");
    method.discard();
    CHECK(forgotten() == "");
}

TEST_CASE("a target policy of one's own takes the place of the shipped ones") {
    struct EveryThird {  // a hard copy now and then
        std::shared_ptr<int> begun = std::make_shared<int>(0);
        void begin(const Horizon& run) { *begun += static_cast<int>(run.steps); }
        void update(const std::vector<Tensor>& target, const std::vector<Tensor>& online, const TrainingStep& at) {
            if (at.step % 3 == 2)
                for (std::size_t i = 0; i < target.size(); ++i) target[i].copy_(online[i]);
        }
    };
    const EveryThird policy;
    AnyMethod method = Method{byol().with_target(policy), {.seed = 1}};
    method.begin({.samples = 100, .steps = 7});
    CHECK(*policy.begun == 7);
    auto optimizer = sgd(method);
    const Tensor start = state_of(method).at("target.encoder.conv.weight").clone();
    for (int i = 0; i < 3; ++i) {
        CHECK(bit_equal(state_of(method).at("target.encoder.conv.weight"), start));
        step(method, optimizer, batch_of(6, i));
    }
    const auto state = state_of(method);
    CHECK(!bit_equal(state.at("encoder.conv.weight"), start));
    for (const char* name : {"encoder.conv.weight", "encoder.bn.bias", "projector.0.weight"})
        CHECK(bit_equal(state.at(std::string("target.") + name), state.at(name)));

    struct Half {  // one network: half of the gradient
        Tensor output(const Tensor& online) const { return (online + online.detach()) / 2; }
    };
    Method half{simclr().with_target(Half{}), {.seed = 1}};
    Method shared{simclr(), {.seed = 1}};
    CHECK(half->forward(batch_of(6)).item<double>() == Approx(shared->forward(batch_of(6)).item<double>()));
    CHECK(names_of(half).count("target.encoder.conv.weight") == 0);
}

TEST_CASE("with_loss and its siblings change one slot and keep the others") {
    auto recipe = moco();
    recipe.layout = {.join_views = false, .bn_groups = 3, .shuffle_target = true};
    const auto other = recipe.with_encoder([] { return TinyNet(4); })
                           .with_projector(None{})
                           .with_predictor(heads::Linear{.out = 4})
                           .with_pairing(pairings::Directions{.symmetric = true})
                           .with_loss(Byol{})
                           .with_queue(None{})
                           .with_target(targets::Ema{.schedule = 0.5});
    CHECK(other.layout.bn_groups == 3);
    CHECK(other.layout.shuffle_target);
    CHECK(other.target.schedule({}) == 0.5);
    CHECK(other.pairing.symmetric);
    CHECK(other.with_layout({.join_views = true}).layout.join_views);
    CHECK(Method{other}->embedding_dim() == 4);
    const auto same = recipe.with_loss(recipe.loss);
    static_assert(std::same_as<decltype(same), const decltype(recipe)>);
    CHECK(same.queue.capacity == 20);
}

TEST_CASE("a method is made of a recipe, of a preset, or of a recipe of any kind") {
    struct Preset {
        std::string name = "mine";
        decltype(moco()) recipe = moco();
    };
    const Preset preset;
    Method from_recipe{preset.recipe, {.seed = 3}}, from_preset{preset, {.seed = 3}}, unseeded{preset};
    static_assert(std::same_as<decltype(from_recipe), decltype(from_preset)>);
    const std::vector<AnyRecipe> recipes{preset.recipe, simclr()};
    AnyMethod erased = recipes[0].build({.seed = 3});
    const auto state = state_of(from_recipe);
    for (const auto& [name, value] : state) {
        CHECK(bit_equal(state_of(from_preset).at(name), value));
        CHECK(bit_equal(state_of(erased).at(name), value));
        CHECK(!state_of(erased).at(name).is_alias_of(value));
    }
    CHECK(bit_equal(state_of(unseeded).at("encoder.conv.weight"), state_of(recipes[0].build()).at("encoder.conv.weight")));
    CHECK(names_of(recipes[1].build()).count("queue.rows") == 0);
    Method copy = from_recipe;
    CHECK(copy.get() == from_recipe.get());
}
