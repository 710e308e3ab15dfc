// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/embedded.hpp>
#include <doppel/encoders/resnet.hpp>
#include <doppel/methods/simclr.hpp>
#include <doppel/optim/adamw.hpp>
#include <doppel/queues/fifo.hpp>
#include <doppel/train/trainer.hpp>

#include "support/torch_support.hpp"

#include <algorithm>
#include <csignal>
#include <limits>
#include <numeric>

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

data::Dataset images() { return data::Embedded({.size = 16, .count = 40}); }

auto preset() {
    auto options = methods::simclr_small();
    options.size = 12;
    options.hidden = 16;
    options.out = 8;
    return methods::simclr(tiny(), options);
}

train::TrainOptions quick(const fs::path& out = {}) {
    return {.epochs = 4, .batch_size = 8, .seed = 7, .out = out, .checkpoint_every = 1, .keep = 100, .log_every = 1, .progress = train::ProgressMode::off};
}

std::map<std::string, Tensor> state_of(const AnyMethod& method) {
    std::map<std::string, Tensor> all;
    for (const auto& item : method.module().named_parameters()) all[item.key()] = item.value().detach().clone();
    for (const auto& item : method.module().named_buffers()) all[item.key()] = item.value().clone();
    return all;
}

void check_equal(const AnyMethod& a, const AnyMethod& b) {
    const auto left = state_of(a), right = state_of(b);
    REQUIRE(left.size() == right.size());
    for (const auto& [name, value] : left) {
        INFO(name);
        CHECK(bit_equal(value, right.at(name)));
    }
}

AnyMethod build(std::uint64_t seed = 1) { return Method{preset().recipe, {.seed = seed}}; }

/// A network with dropout: what a step gives depends on torch's generator too.
struct DroppingImpl : TinyNetImpl {
    Tensor forward(const Tensor& x) { return at::dropout(TinyNetImpl::forward(x), 0.5, is_training()); }
};
TORCH_MODULE(Dropping);

}  // namespace

TEST_CASE("a resumed run equals an uninterrupted one bit for bit, whatever the workers") {
    const auto plan = train::plan_of(preset());
    TemporaryFolder folder;
    const AnyMethod whole = build();
    train::train(whole, images(), plan, quick());
    for (int workers : {0, 1, 3}) {
        const auto out = folder / std::to_string(workers);
        auto options = quick(out);
        options.workers = workers;
        const AnyMethod first = build();
        train::train(first, images(), plan, options);
        check_equal(first, whole);
        // go on from each checkpoint on the way, as if the run had died after it
        for (const auto& checkpoint : train::Checkpoints(out / "checkpoints", 100).list()) {
            const auto again = folder / "again";
            fs::remove_all(again);
            auto resumed = quick(again);
            resumed.resume = checkpoint.string();
            const AnyMethod second = build(99);  // other weights: all must come from the checkpoint
            const auto result = train::train(second, images(), plan, resumed);
            CHECK(result.steps == 20);
            check_equal(second, whole);
        }
    }
}

TEST_CASE("a resumed run with dropout, queue and Ema goes on bit for bit") {
    auto base = preset();
    const auto recipe = Recipe{.encoder = [] { return Dropping(); },
                               .projector = heads::Mlp{.hidden = {16}, .out = 8, .norm = false},
                               .target = targets::Ema{.schedule = schedules::Cosine{0.9, 1}, .timing = targets::EmaTiming::before_forward},
                               .queue = queues::Fifo{.capacity = 21},
                               .loss = [](const Tensor& q, const Tensor& k, const Tensor& memory) {
                                   return -(q * k.detach()).sum(1).mean() + q.mm(memory.t()).logsumexp(1).mean();
                               }};
    const auto plan = train::plan_of(base);
    TemporaryFolder folder;
    at::manual_seed(11);
    const AnyMethod whole = Method{recipe, {.seed = 1}};
    train::train(whole, images(), plan, quick(folder / "whole"));
    const auto middle = train::Checkpoints(folder / "whole" / "checkpoints", 100).list().at(1);
    at::manual_seed(12);
    const AnyMethod resumed = Method{recipe, {.seed = 2}};
    auto options = quick(folder / "resumed");
    options.resume = middle.string();
    train::train(resumed, images(), plan, options);
    check_equal(resumed, whole);
}

TEST_CASE("an interrupt ends a run after the step at hand, with a checkpoint that goes on bit for bit") {
    const auto plan = train::plan_of(preset());
    TemporaryFolder folder;
    const AnyMethod whole = build();
    train::train(whole, images(), plan, quick());
    for (int signal : {SIGINT, SIGTERM}) {
        const auto out = folder / std::to_string(signal);
        const AnyMethod stopped = build();
        train::Hooks hooks{.after_epoch = [&](std::int64_t epoch) {
            if (epoch == 2) std::raise(signal);
            return nlohmann::ordered_json::object();
        }};
        auto options = quick(out);
        options.checkpoint_every = 100;
        const auto result = train::train(stopped, images(), plan, options, hooks);
        CHECK(result.signal == signal);
        CHECK(result.steps == 10);
        CHECK(fs::exists(result.checkpoint));
        options.resume = "auto";
        const AnyMethod resumed = build(5);
        CHECK(train::train(resumed, images(), plan, options).signal == 0);
        check_equal(resumed, whole);
    }
}

TEST_CASE("training learns: the loss of a tiny run falls") {
    auto options = quick();
    options.epochs = 30;
    TemporaryFolder folder;
    options.out = folder.path();
    train::train(build(), images(), train::plan_of(preset()), options);
    const auto lines = io::read_json_lines(folder / "metrics.jsonl");
    auto mean = [&](std::size_t from, std::size_t to) {
        double sum = 0;
        for (std::size_t i = from; i < to; ++i) sum += lines[i]["loss"].get<double>();
        return sum / static_cast<double>(to - from);
    };
    CHECK(mean(lines.size() - 15, lines.size()) < mean(0, 15) - 0.1);
}

TEST_CASE("metrics.jsonl has a line each log_every steps, and none twice after resuming") {
    const auto plan = train::plan_of(preset());
    TemporaryFolder folder;
    auto options = quick(folder.path());
    options.log_every = 3;
    train::train(build(), images(), plan, options);
    auto steps = [&] {
        std::vector<std::int64_t> list;
        for (const auto& line : io::read_json_lines(folder / "metrics.jsonl")) {
            list.push_back(line["step"].get<std::int64_t>());
            for (auto* key : {"epoch", "loss", "lr", "images_per_second", "feature_std"}) CHECK(line[key].is_number());
        }
        return list;
    };
    const std::vector<std::int64_t> expected{3, 6, 9, 12, 15, 18, 20};
    CHECK(steps() == expected);
    options.resume = train::Checkpoints(folder / "checkpoints", 9).list().front().string();
    train::train(build(), images(), plan, options);
    CHECK(steps() == expected);
}

TEST_CASE("the last checkpoints are kept, older ones go") {
    TemporaryFolder folder;
    auto options = quick(folder.path());
    options.keep = 2;
    train::train(build(), images(), train::plan_of(preset()), options);
    const auto list = train::Checkpoints(folder / "checkpoints", 2).list();
    REQUIRE(list.size() == 2);
    CHECK(list[0].filename() == "step-00000015.safetensors");
    CHECK(list[1].filename() == "step-00000020.safetensors");
}

TEST_CASE("accumulated gradients: n passes are one step whose gradient is their mean") {
    auto options = quick();
    options.accumulate = 2;
    options.epochs = 2;
    const auto result = train::train(build(), images(), train::plan_of(preset()), options);
    CHECK(result.steps == 4);  // 5 batches an epoch are 2 whole steps
}

TEST_CASE("a checkpoint of another run is refused with what differs") {
    const auto plan = train::plan_of(preset());
    TemporaryFolder folder;
    train::train(build(), images(), plan, quick(folder.path()));
    const auto path = train::Checkpoints(folder / "checkpoints", 9).newest()->string();
    const auto resumed = [&](AnyMethod method, train::TrainOptions options) {
        options.resume = path;
        return message_of([&] { train::train(method, images(), plan, options); });
    };
    auto other = quick();
    other.batch_size = 10;
    CHECK(mentions(resumed(build(), other), {path, "another run", "batch size is 8 there and 10 here"}));
    other = quick();
    other.seed = 8;
    CHECK(mentions(resumed(build(), other), {"seed is 7 there and 8 here"}));
    const AnyMethod wider = Method{with_projector(preset().recipe, heads::Mlp{.hidden = {17}, .out = 8})};
    CHECK(mentions(resumed(wider, quick()), {"projector.0.weight", "[16, 8] there", "[17, 8] here"}));
    const AnyMethod deeper = Method{with_projector(preset().recipe, heads::Mlp{.hidden = {16, 16}, .out = 8})};
    CHECK(mentions(resumed(deeper, quick()), {path, "projector."}));
    other = quick();
    other.resume = (folder / "nothing.safetensors").string();
    CHECK(mentions(message_of([&] { train::train(build(), images(), plan, other); }), {"nothing.safetensors"}));
}

TEST_CASE("a checkpoint of another version of the format is refused, and so are weights that are no checkpoint") {
    const auto plan = train::plan_of(preset());
    TemporaryFolder folder;
    train::train(build(), images(), plan, quick(folder.path()));
    auto file = io::load_safetensors(*train::Checkpoints(folder / "checkpoints", 9).newest());
    const auto refused = [&] {
        io::save_safetensors(folder / "other.safetensors", file, io::Checksum::crc32);
        auto options = quick();
        options.resume = (folder / "other.safetensors").string();
        return message_of([&] { train::train(build(), images(), plan, options); });
    };
    file.metadata["format"] = "doppel checkpoint 1";
    CHECK(mentions(refused(), {"other.safetensors", "'doppel checkpoint 1'", "expected 'doppel checkpoint 2'", "another version"}));
    file.metadata.erase("format");
    CHECK(mentions(refused(), {"other.safetensors", "not a doppel checkpoint"}));
}

TEST_CASE("a refused checkpoint leaves the method as it was") {
    const auto plan = train::plan_of(preset());
    TemporaryFolder folder;
    train::train(build(), images(), plan, quick(folder.path()));
    auto options = quick();
    options.seed = 1;
    options.resume = train::Checkpoints(folder / "checkpoints", 9).newest()->string();
    const AnyMethod method = build();
    CHECK(!message_of([&] { train::train(method, images(), plan, options); }).empty());
    check_equal(method, build());
}

TEST_CASE("dropout draws by the run's seed, whatever torch's generator did before") {
    const auto plan = train::plan_of(preset());
    const auto trained = [&](std::uint64_t drawn_before) {
        at::manual_seed(drawn_before);
        const AnyMethod method = Method{with_encoder(preset().recipe, [] { return Dropping(); }), {.seed = 1}};
        train::train(method, images(), plan, quick());
        return method;
    };
    check_equal(trained(3), trained(4));
}

TEST_CASE("the trainer says which option cannot be") {
    const auto plan = train::plan_of(preset());
    const auto refused = [&](auto change) {
        auto options = quick();
        change(options);
        return message_of([&] { train::train(build(), images(), plan, options); });
    };
    CHECK(mentions(refused([](auto& o) { o.epochs = 0; }), {"epochs", "0"}));
    CHECK(mentions(refused([](auto& o) { o.batch_size = 1; }), {"batch size", "1"}));
    CHECK(mentions(refused([](auto& o) { o.batch_size = 64; }), {"64", "40"}));
    CHECK(mentions(refused([](auto& o) { o.accumulate = 0; }), {"accumulate", "0"}));
}

TEST_CASE("bfloat16 training on the CPU runs, with parameters and optimizer in float32") {
    auto options = quick();
    options.epochs = 1;
    options.precision = Precision::bf16;
    const AnyMethod method = build();
    const auto result = train::train(method, images(), train::plan_of(preset()), options);
    CHECK(std::isfinite(result.loss));
    for (const auto& [name, value] : method.trainable()) CHECK(value.scalar_type() == at::kFloat);
}

namespace {

/// NT-Xent that gives NaN at the steps in `bad`, or a gradient that is none.
struct Stumbling {
    std::vector<std::int64_t> bad;
    bool only_gradient = false;
    losses::NtXent good{.temperature = 0.2};
    using Pairing = pairings::OneWay;
    Tensor operator()(const Outputs& out) const {
        const Tensor loss = good(out.online[0], out.online[1]);
        if (std::find(bad.begin(), bad.end(), out.at.step) == bad.end()) return loss;
        if (only_gradient) return loss + (out.online[0] * 0).abs().sqrt().sum();  // 0, with the derivative 0 · inf
        return loss * std::numeric_limits<double>::quiet_NaN();
    }
};

AnyMethod stumbling(std::vector<std::int64_t> bad, bool only_gradient = false) {
    return Method{with_loss(preset().recipe, Stumbling{std::move(bad), only_gradient}), {.seed = 1}};
}

}  // namespace

TEST_CASE("a step without a finite loss or gradients is skipped without trace, and counted") {
    const auto plan = train::plan_of(preset());
    for (const bool only_gradient : {false, true}) {
        TemporaryFolder folder;
        const AnyMethod method = stumbling({0, 7, 8, 19}, only_gradient);
        const auto result = train::train(method, images(), plan, quick(folder / "run"));
        CHECK(result.steps == 20);
        CHECK(result.skipped == 4);
        for (const auto& [name, value] : state_of(method)) {
            INFO(name);
            if (value.is_floating_point()) CHECK(at::isfinite(value).all().item<bool>());
        }
        const auto lines = io::read_json_lines(folder / "run" / "metrics.jsonl");
        CHECK(lines.back()["skipped_steps"] == 4);
        // A run that went on after the skipped steps ends as this one.
        const AnyMethod resumed = stumbling({0, 7, 8, 19}, only_gradient);
        auto options = quick();
        options.resume = (folder / "run" / "checkpoints" / "step-00000010.safetensors").string();
        CHECK(train::train(resumed, images(), plan, options).skipped == 4);
        check_equal(method, resumed);
    }
}

TEST_CASE("skipping every step leaves the weights as they were") {
    std::vector<std::int64_t> all(20);
    std::iota(all.begin(), all.end(), 0);
    auto options = quick();
    options.give_up_after = 100;
    const AnyMethod method = stumbling(all);
    CHECK(train::train(method, images(), train::plan_of(preset()), options).skipped == 20);
    check_equal(method, stumbling({}));
}

TEST_CASE("steps in a row without a finite loss end the run with likely causes and the last good checkpoint") {
    TemporaryFolder folder;
    const auto plan = train::plan_of(preset());
    std::vector<std::int64_t> late{11, 12, 13, 14, 15}, early{1, 2, 3, 4, 5};
    const auto text = message_of([&] { train::train(stumbling(late), images(), plan, quick(folder / "late")); });
    CHECK(mentions(text, {"not finite 5 steps in a row", "step 16", "--lr", "temperature",
                          (folder / "late" / "checkpoints" / "step-00000010.safetensors").string()}));
    CHECK(mentions(message_of([&] { train::train(stumbling(early), images(), plan, quick(folder / "early")); }),
                   {"no checkpoint was written yet"}));
}

TEST_CASE("a collapsing objective is recognised while training, a sound one is not taken for one") {
    const auto plan = train::plan_of(preset());
    auto options = quick();
    options.epochs = 40;
    const AnyMethod pulled = Method{with_loss(preset().recipe, [](const Tensor& a, const Tensor& b) {
        return (a - b).pow(2).mean() + (a - a.detach().mean(0)).pow(2).mean();  // towards one point
    }), {.seed = 1}};
    CHECK(train::train(pulled, images(), plan, options).collapsed);
    CHECK(!train::train(build(), images(), plan, options).collapsed);
}

namespace {

/// What an optimizer was told in a step.
struct Told {
    double lr = 0;
    std::optional<double> weight_decay{};
    double longest = 0;               // gradient
    std::vector<std::string> without{};  // parameters without gradient
};

/// Moves nothing, keeps what it is told.
struct Listener {
    double lr = 0.1;
    std::shared_ptr<std::vector<Told>> told = std::make_shared<std::vector<Told>>();

    struct State {
        std::shared_ptr<std::vector<Told>> told;
        optim::Groups all;

        void step(double rate, std::optional<double> weight_decay = {}) {
            Told now{.lr = rate, .weight_decay = weight_decay};
            for (const auto& [name, w] : all.at(0).parameters) {
                if (w.grad().defined())
                    now.longest = std::max(now.longest, w.grad().norm().item<double>());
                else
                    now.without.push_back(name);
            }
            told->push_back(std::move(now));
        }
        void zero_grad() { optim::detail::drop_gradients(all); }
        void state(const optim::StateVisitor&) {}
        const optim::Groups& groups() const { return all; }
    };
    State build(const optim::NamedParameters& parameters) const {
        return {told, {optim::Group{.parameters = parameters}}};
    }
};

}  // namespace

TEST_CASE("a preset's weight decay by schedule, clipping and freezing reach the optimizer") {
    const Listener listener;
    auto plan = train::plan_of(preset());
    plan.optimizer = listener;
    plan.weight_decay = schedules::Linear{.from = 0, .to = 1};
    plan.clip = {.each = 1e-3};
    plan.frozen = {{.matches = "projector.", .epochs = 1}, {.matches = "encoder.", .steps = 2}};
    train::train(build(), images(), plan, quick());
    REQUIRE(listener.told->size() == 20);  // 5 steps an epoch
    for (std::size_t step = 0; step < 20; ++step) {
        const Told& told = listener.told->at(step);
        INFO("step " << step);
        CHECK(told.weight_decay.value() == Approx(static_cast<double>(step) / 20));
        CHECK(told.longest <= 1.001e-3);
        for (const auto& name : told.without) CHECK(name.starts_with(step < 2 ? "" : "projector."));
        CHECK(told.without.empty() == (step >= 5));
    }
    plan.clip = {};
    listener.told->clear();
    train::train(build(), images(), plan, quick());
    CHECK(listener.told->back().longest > 1e-3);
}

TEST_CASE("an optimizer that takes no weight decay by schedule says so") {
    struct Plain {
        double lr = 0.1;
        struct State {
            optim::Groups all;
            void step(double) {}
            void zero_grad() {}
            void state(const optim::StateVisitor&) {}
            const optim::Groups& groups() const { return all; }
        };
        State build(const optim::NamedParameters& parameters) const { return {{optim::Group{.parameters = parameters}}}; }
    };
    auto plan = train::plan_of(preset());
    plan.optimizer = Plain{};
    plan.weight_decay = schedules::Constant{0.1};
    CHECK(mentions(message_of([&] { train::train(build(), images(), plan, quick()); }), {"weight decay", "step(lr, weight_decay)"}));
    plan.optimizer = optim::AdamW{};
    plan.lr = schedules::Constant{0.2};
    CHECK(mentions(message_of([&] { train::train(build(), images(), plan, quick()); }), {"AdamW", "0.2", "SGD or LARS"}));
}
