// SPDX-License-Identifier: Apache-2.0
#include <doppel/optim/adamw.hpp>
#include <doppel/queues/fifo.hpp>
#include <doppel/train/trainer.hpp>

#include "support/train_support.hpp"

#include <cmath>
#include <optional>

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

/// A network with dropout: what a step gives depends on torch's generator too.
struct DroppingImpl : TinyNetImpl {
    Tensor forward(const Tensor& x) { return at::dropout(TinyNetImpl::forward(x), 0.5, is_training()); }
};
TORCH_MODULE(Dropping);

auto with_dropout_and_queue() {
    return preset_of(Recipe{.encoder = [] { return Dropping(); },
                            .projector = heads::Mlp{.hidden = {16}, .out = 8, .norm = false},
                            .target = targets::Ema{.schedule = schedules::Cosine{0.9, 1}, .timing = targets::EmaTiming::before_forward},
                            .queue = queues::Fifo{.capacity = 21},
                            .loss = [](const Tensor& q, const Tensor& k, const Tensor& memory) {
                                return -(q * k.detach()).sum(1).mean() + q.mm(memory.t()).logsumexp(1).mean();
                            }});
}

/// A snapshot as a file, which restore() reads.
fs::path saved(train::Trainer& trainer, const fs::path& path) {
    io::save_safetensors(path, trainer.snapshot(), io::Checksum::crc32);
    return path;
}

template <class R>
void resumes_bit_for_bit(const Preset<R>& preset, std::int64_t at) {
    TemporaryFolder folder;
    train::Trainer whole(preset, images(), quick());
    finish(whole);
    for (int workers : {0, 1, 3}) {
        auto options = quick();
        options.workers = workers;
        train::Trainer first(preset, images(), options);
        while (first.step_count() < at) first.step();
        const auto path = saved(first, folder / "checkpoint.safetensors");
        at::manual_seed(99);
        train::Trainer second(preset, images(), options);
        for (auto& parameter : second.method().module().parameters()) parameter.detach().fill_(1);  // all comes from the file
        second.restore(path);
        CHECK(second.step_count() == at);
        CHECK(second.resumed_at() == at);
        finish(second);
        check_equal(second.method(), whole.method());
    }
}

}  // namespace

TEST_CASE("a rehearsal leaves the run as it was, and tells what does not fit together") {
    const auto p = with_dropout_and_queue();
    train::Trainer plain(p, images(), quick());
    finish(plain);
    train::Trainer rehearsed(p, images(), quick());  // seeds torch's generator again
    for (int i = 0; !rehearsed.finished(); ++i) {
        if (i < 2) rehearsed.rehearse();
        rehearsed.step();
    }
    check_equal(rehearsed.method(), plain.method());
    auto wrong = preset();
    wrong.recipe.layout.bn_groups = 3;
    train::Trainer trainer(wrong, images(), quick());
    CHECK(mentions(message_of([&] { trainer.rehearse(); }), {"8 images a pass (--batch-size)", "bn_groups", "= 3"}));
}

TEST_CASE("a restored run equals an uninterrupted one bit for bit, whatever the workers") {
    resumes_bit_for_bit(preset(), 7);
    resumes_bit_for_bit(with_dropout_and_queue(), 11);
}

TEST_CASE("a step reports what it did") {
    auto described = preset();
    described.weight_decay = schedules::Linear{.from = 0, .to = 1};
    auto options = quick();
    options.log_every = 3;
    train::Trainer trainer(described, images(), options);
    CHECK(trainer.total_steps() == 20);
    CHECK(trainer.steps_per_epoch() == 5);
    CHECK(trainer.images_per_step() == 8);
    for (std::int64_t step = 1; !trainer.finished(); ++step) {
        const auto report = trainer.step();
        CHECK(report.step == step);
        CHECK(trainer.step_count() == step);
        CHECK(report.taken);
        CHECK(report.images == 8);
        CHECK(report.ends_epoch == (step % 5 == 0));
        CHECK(report.lr == trainer.lr()({.step = step - 1, .of = trainer.horizon()}));
        CHECK(report.weight_decay.value() == Approx(static_cast<double>(step - 1) / 20));
        CHECK(std::isfinite(report.loss.item<double>()));
        CHECK_FALSE(report.loss.requires_grad());
        REQUIRE(report.outputs.features.size() == 2);
        CHECK(report.outputs.features[0].sizes() == at::IntArrayRef({8, 8}));
        CHECK(report.metrics.empty() == (step % 3 != 0 && step != 20));
        if (!report.metrics.empty())
            for (auto* name : {"loss", "lr", "images_per_second", "feature_std", "train_seconds"}) CHECK(report.metrics.contains(name));
    }
    CHECK(trainer.epoch() == 4);
    CHECK(mentions(message_of([&] { trainer.step(); }), {"finished", "20 steps"}));
}

TEST_CASE("the loss in the metrics is the mean of the steps since the last time") {
    auto options = quick();
    options.log_every = 4;
    train::Trainer trainer(preset(), images(), options);
    double sum = 0;
    for (int i = 0; i < 3; ++i) sum += trainer.step().loss.item<double>();
    const auto report = trainer.step();
    CHECK(report.metrics.at("loss") == Approx((sum + report.loss.item<double>()) / 4));
}

TEST_CASE("stop ends the run after the current step; the first reason counts") {
    train::Trainer trainer(preset(), images(), quick());
    trainer.step();
    trainer.stop("enough");
    trainer.stop("more than enough");
    CHECK(trainer.finished());
    CHECK(trainer.stopped() == "enough");
    CHECK(mentions(message_of([&] { trainer.step(); }), {"finished", "enough"}));
}

TEST_CASE("the learning rate follows the images per step that are used") {
    for (const std::int64_t accumulate : {1, 2}) {
        auto options = quick();
        options.accumulate = accumulate;
        auto other = preset();
        other.batch_size = 10;
        train::Trainer trainer(other, images(), options);
        double peak = 0;
        for (std::int64_t step = 0; step < trainer.total_steps(); ++step)
            peak = std::max(peak, trainer.lr()({.step = step, .of = trainer.horizon()}));
        CHECK(peak == Approx(0.4 * 10 * static_cast<double>(accumulate) / 256).epsilon(0.05));
    }
}

namespace {

/// What an optimizer was given in a step.
struct Given {
    double lr = 0;
    std::optional<double> weight_decay{};
    double longest = 0;                  // gradient
    std::vector<std::string> without{};  // parameters without gradient
    std::map<std::string, Tensor> gradients{};
};

/// Moves nothing, keeps what it is given.
struct Listener {
    double lr = 0.1;
    std::shared_ptr<std::vector<Given>> given = std::make_shared<std::vector<Given>>();

    struct State {
        std::shared_ptr<std::vector<Given>> given;
        optim::Groups all;

        void step(double rate, std::optional<double> weight_decay = {}) {
            Given now{.lr = rate, .weight_decay = weight_decay};
            for (const auto& [name, w] : all.at(0).parameters) {
                if (w.grad().defined()) {
                    now.longest = std::max(now.longest, w.grad().norm().item<double>());
                    now.gradients[name] = w.grad().clone();
                } else {
                    now.without.push_back(name);
                }
            }
            given->push_back(std::move(now));
        }
        void zero_grad() {
            for (auto& [name, w] : all.at(0).parameters) Tensor(w).mutable_grad().reset();
        }
        void state(const optim::StateVisitor&) {}
        const optim::Groups& groups() const { return all; }
    };
    State build(const optim::NamedParameters& parameters) const { return {given, {optim::Group{.parameters = parameters}}}; }
};

}  // namespace

TEST_CASE("training learns: on the same views the trained network's loss is below the untrained one's") {
    auto learns = preset(), listens = preset();
    learns.epochs = listens.epochs = 30;
    listens.optimizer = Listener{};  // moves nothing
    train::Trainer trained(learns, images(), quick()), untrained(listens, images(), quick());
    int below = 0;
    while (!trained.finished()) {
        const double after = trained.step().loss.item<double>(), before = untrained.step().loss.item<double>();
        if (trained.epoch() >= 27) below += after < before;
    }
    CHECK(below >= 12);  // of the last 15 steps; by chance in one of 57 runs
}

TEST_CASE("accumulated gradients: n passes are one step whose gradient is their mean") {
    const Listener one, two;
    auto single = preset(), doubled = preset();
    single.optimizer = one;
    doubled.optimizer = two;
    auto options = quick();
    options.accumulate = 2;
    train::Trainer passes(single, images(), quick()), steps(doubled, images(), options);
    CHECK(steps.total_steps() == 8);  // 5 batches per epoch are 2 whole steps
    CHECK(steps.images_per_step() == 16);
    // Nothing moves the weights, so two steps of one trainer see what two passes of one step of the other see.
    const auto first = passes.step(), second = passes.step(), both = steps.step();
    CHECK(both.images == 16);
    CHECK(both.loss.item<double>() == Approx((first.loss.item<double>() + second.loss.item<double>()) / 2));
    REQUIRE(two.given->size() == 1);
    REQUIRE(!two.given->front().gradients.empty());
    for (const auto& [name, gradient] : two.given->front().gradients) {
        INFO(name);
        const Tensor mean = (one.given->at(0).gradients.at(name) + one.given->at(1).gradients.at(name)) / 2;
        CHECK(largest_difference(gradient, mean) < 1e-6);
        CHECK(mean.abs().max().item<double>() > 0);
    }
}

TEST_CASE("a preset's weight decay by schedule, clipping and freezing reach the optimizer") {
    const Listener listener;
    auto all = preset();
    all.optimizer = listener;
    all.weight_decay = schedules::Linear{.from = 0, .to = 1};
    all.clip = {.each = 1e-3};
    all.frozen = {{.matches = "projector.", .epochs = 1}, {.matches = "encoder.", .steps = 2}};
    train::Trainer trainer(all, images(), quick());
    finish(trainer);
    REQUIRE(listener.given->size() == 20);  // 5 steps an epoch
    for (std::size_t step = 0; step < 20; ++step) {
        const Given& given = listener.given->at(step);
        INFO("step " << step);
        CHECK(given.weight_decay.value() == Approx(static_cast<double>(step) / 20));
        CHECK(given.longest <= 1.001e-3);
        for (const auto& name : given.without) CHECK(name.starts_with(step < 2 ? "" : "projector."));
        CHECK(given.without.empty() == (step >= 5));
    }
    all.clip = {};
    listener.given->clear();
    train::Trainer unclipped(all, images(), quick());
    finish(unclipped);
    CHECK(listener.given->back().longest > 1e-3);
}

TEST_CASE("a step without a finite loss or gradients is skipped without trace, and counted") {
    TemporaryFolder folder;
    for (const bool only_gradient : {false, true}) {
        train::Trainer trainer(stumbling({0, 7, 8, 19}, only_gradient), images(), quick());
        std::vector<std::int64_t> skipped;
        fs::path middle;
        while (!trainer.finished()) {
            const auto before = tensors_of(trainer.method());
            const auto report = trainer.step();
            if (!report.taken) {
                skipped.push_back(report.step - 1);
                check_equal(before, tensors_of(trainer.method()));
            }
            CHECK(trainer.healthy() == report.taken);
            if (trainer.step_count() == 10) middle = saved(trainer, folder / "middle.safetensors");
        }
        CHECK(skipped == std::vector<std::int64_t>{0, 7, 8, 19});
        CHECK(trainer.skipped() == 4);
        CHECK(trainer.warnings().size() == 3);  // 7 and 8 are told once
        CHECK(mentions(trainer.warnings().front(), {"step 1", only_gradient ? "gradients are not finite" : "loss is", "skipped"}));
        // A run that goes on after the skipped steps ends as this one.
        train::Trainer resumed(stumbling({0, 7, 8, 19}, only_gradient), images(), quick());
        resumed.restore(middle);
        finish(resumed);
        CHECK(resumed.skipped() == 4);
        check_equal(trainer.method(), resumed.method());
    }
}

TEST_CASE("a step that throws leaves the run as it was before") {
    auto left = std::make_shared<std::atomic<std::int64_t>>(8 * 9 + 3);  // in the middle of a batch
    const auto described = with_dropout_and_queue();
    train::Trainer whole(described, images(), quick());
    finish(whole);
    auto options = quick();
    options.workers = 0;
    train::Trainer trainer(described, Failing{images(), left}, options);
    while (trainer.step_count() < 9) trainer.step();
    const auto before = tensors_of(trainer.method());
    CHECK(mentions(message_of([&] { trainer.step(); }), {"No such file"}));
    CHECK(trainer.step_count() == 9);
    CHECK(trainer.healthy());
    check_equal(before, tensors_of(trainer.method()));
    *left = 1000;  // the file is there again
    finish(trainer);
    check_equal(trainer.method(), whole.method());
}

TEST_CASE("a loss that throws after dropout has drawn leaves the run as it was before") {
    struct Throws {
        std::shared_ptr<bool> now;
        losses::NtXent good{.temperature = 0.2};
        Tensor operator()(const Tensor& a, const Tensor& b) const {
            require(!*now, "the loss cannot");
            return good(a, b);
        }
    };
    const auto now = std::make_shared<bool>(false);
    const auto described = preset_of(Recipe{.encoder = [] { return Dropping(); }, .projector = heads::Mlp{.hidden = {16}, .out = 8}, .loss = Throws{now}});
    train::Trainer whole(described, images(), quick());
    finish(whole);
    train::Trainer trainer(described, images(), quick());
    while (trainer.step_count() < 6) trainer.step();
    *now = true;
    CHECK(message_of([&] { trainer.step(); }) == "the loss cannot");
    *now = false;
    finish(trainer);
    check_equal(trainer.method(), whole.method());
}

TEST_CASE("a checkpoint of another run is refused with everything that differs, the method's options first") {
    TemporaryFolder folder;
    train::Trainer first(preset(), images(), quick());
    first.step();
    const auto path = saved(first, folder / "a.safetensors");
    const auto refused = [&](auto described, const train::TrainOptions& options, const data::Dataset& data = images()) {
        train::Trainer trainer(described, data, options);
        const auto before = tensors_of(trainer.method());
        const auto text = message_of([&] { trainer.restore(path); });
        check_equal(before, tensors_of(trainer.method()));
        CHECK(trainer.step_count() == 0);
        return text;
    };
    auto other = preset();
    other.batch_size = 10;
    other.options["temperature"] = 0.5;
    other.views.insert_after<augment::HorizontalFlip>(augment::Solarize{.p = 0.2});
    auto options = quick();
    options.seed = 8;
    options.precision = "bf16";
    const auto text = refused(other, options);
    CHECK(mentions(text, {path.string(), "another run: temperature is 0.2 there and 0.5 here", "batch size is 8 there and 10 here",
                          "seed is 7 there and 8 here", "precision is fp32 there and bf16 here", "view 1", "learning rate"}));
    options = quick();
    options.identity = {{"who", "me"}};
    CHECK(mentions(refused(preset(), options), {"who is not set there and me here"}));
    CHECK(mentions(refused(preset(), quick(), images(48)), {"training images is 40 there and 48 here"}));
    auto shorter = preset();
    shorter.epochs = 3;
    CHECK(mentions(refused(shorter, quick()), {"epochs is 4 there and 3 here"}));
    const auto with = [](heads::Mlp head) {
        return preset_of(Recipe{.encoder = tiny(), .projector = head, .loss = losses::NtXent{.temperature = 0.2}});
    };
    CHECK(mentions(refused(with({.hidden = {17}, .out = 8}), quick()), {"projector.0.weight", "[16, 8] there", "[17, 8] here"}));
    CHECK(mentions(refused(with({.hidden = {16, 16}, .out = 8}), quick()), {path.string(), "projector."}));
    train::Trainer trainer(preset(), images(), quick());
    CHECK(mentions(message_of([&] { trainer.restore(folder / "nothing.safetensors"); }), {"nothing.safetensors"}));
}

TEST_CASE("more epochs than the checkpoint's are allowed, and a warning says what they do to the learning rate") {
    TemporaryFolder folder;
    train::Trainer first(preset(), images(), quick());
    finish(first);
    auto longer = preset();
    longer.epochs = 8;
    train::Trainer trainer(longer, images(), quick());
    trainer.restore(saved(first, folder / "a.safetensors"));
    CHECK(trainer.step_count() == 20);
    CHECK_FALSE(trainer.finished());
    CHECK(mentions(trainer.warnings().back(), {"epochs raised from 4 to 8", "40 steps instead of 20", "learning rate at step 20"}));
    finish(trainer);
    CHECK(trainer.step_count() == 40);
}

TEST_CASE("what the run is too short for is said before the first step") {
    auto short_run = preset();
    short_run.lr = schedules::WarmupCosine{.peak = 0.1, .warmup_epochs = 10};
    short_run.frozen = {{.matches = "projector.", .epochs = 4}, {.matches = "encoder.", .epochs = 1}};
    train::Trainer trainer(short_run, images(), quick());
    REQUIRE(trainer.warnings().size() == 2);
    CHECK(mentions(trainer.warnings()[0], {"warm-up of 50 steps", "run of 20", "never reaches 0.1"}));
    CHECK(mentions(trainer.warnings()[1], {"'projector.' for 4 epochs", "20 steps", "never trained"}));
    short_run.epochs = 11;
    CHECK(train::Trainer(short_run, images(), quick()).warnings().empty());
}

TEST_CASE("a checkpoint of another format is refused, and so are weights that are no checkpoint") {
    TemporaryFolder folder;
    train::Trainer first(preset(), images(), quick());
    auto file = first.snapshot();
    const auto refused = [&] {
        io::save_safetensors(folder / "other.safetensors", file, io::Checksum::crc32);
        return message_of([&] { first.restore(folder / "other.safetensors"); });
    };
    file.metadata["format"] = "doppel checkpoint 2";
    CHECK(mentions(refused(), {"other.safetensors", "older doppel", "'doppel checkpoint 2'", "start a new run"}));
    file.metadata["format"] = "doppel checkpoint 9";
    CHECK(mentions(refused(), {"'doppel checkpoint 9'", "expected 'doppel checkpoint 3'", "another version"}));
    file.metadata.erase("format");
    CHECK(mentions(refused(), {"other.safetensors", "not a doppel checkpoint"}));
}

TEST_CASE("dropout draws by the run's seed, whatever torch's generator did before") {
    const auto trained = [&](std::uint64_t drawn_before) {
        at::manual_seed(drawn_before);
        train::Trainer trainer(with_dropout_and_queue(), images(), quick());
        finish(trainer);
        return tensors_of(trainer.method());
    };
    check_equal(trained(3), trained(4));
}

TEST_CASE("the trainer says which option cannot be") {
    const auto refused = [&](auto change) {
        auto described = preset();
        auto options = quick();
        change(described, options);
        return message_of([&] { train::Trainer(described, images(), options); });
    };
    CHECK(mentions(refused([](auto& p, auto&) { p.epochs = 0; }), {"epochs", "0"}));
    CHECK(mentions(refused([](auto& p, auto&) { p.batch_size = 1; }), {"batch size", "1"}));
    CHECK(mentions(refused([](auto& p, auto&) { p.batch_size = 64; }), {"64", "40"}));
    CHECK(mentions(refused([](auto& p, auto&) { p.lr = {}; }), {"no learning rate", "preset.lr"}));
    CHECK(mentions(refused([](auto&, auto& o) { o.accumulate = 0; }), {"accumulate", "0"}));
    CHECK(mentions(refused([](auto&, auto& o) { o.precision = "fp8"; }), {"precision", "fp8"}));
    CHECK(mentions(refused([](auto&, auto& o) { o.device = "gpus"; }), {"device", "gpus"}));
    CHECK(mentions(refused([](auto& p, auto&) {
        p.optimizer = optim::AdamW{};
        p.lr = 0.2;
    }), {"AdamW", "0.2", "SGD or LARS"}));
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
    auto scheduled = preset();
    scheduled.optimizer = Plain{};
    scheduled.weight_decay = schedules::Constant{0.1};
    train::Trainer trainer(scheduled, images(), quick());
    CHECK(mentions(message_of([&] { trainer.step(); }), {"weight decay", "step(lr, weight_decay)"}));
    CHECK_FALSE(trainer.healthy());  // it failed in the optimizer
    CHECK(mentions(message_of([&] { trainer.snapshot(); }), {"half-way"}));
}

TEST_CASE("bfloat16 training on the CPU stays close to float32, with parameters and optimizer in float32") {
    auto options = quick();
    options.precision = "bf16";
    train::Trainer trainer(preset(), images(), options), exact(preset(), images(), quick());
    for (int step = 0; step < 5; ++step) {
        const double rounded = trainer.step().loss.item<double>(), loss = exact.step().loss.item<double>();
        CHECK(rounded != loss);  // the network did run in bfloat16
        // Bfloat16 rounds to 2^-9 of a value, so a cosine is wrong by about 2^-8, and a logit by 2^-8 / temperature 0.2.
        CHECK(rounded == Approx(loss).margin(0.02));
    }
    for (const auto& [name, value] : trainer.method().trainable()) CHECK(value.scalar_type() == at::kFloat);
}

TEST_CASE("a rule with peak_lr gets the schedule's peak for the images per step that are used, not the optimizer's default") {
    auto fixed = preset();
    fixed.optimizer = optim::Sgd{.weight_decay = 5e-4, .except = {{.matches = "projector.", .peak_lr = true}}};
    for (const std::int64_t accumulate : {1, 2}) {
        auto options = quick();
        options.accumulate = accumulate;
        train::Trainer trainer(fixed, images(), options);
        int found = 0;
        for (const auto& group : trainer.optimizer().groups())
            if (group.fixed_lr) {
                CHECK(*group.fixed_lr == 0.4 * static_cast<double>(8 * accumulate) / 256);
                ++found;
            }
        CHECK(found >= 1);
    }
}

TEST_CASE("float16 trains with a scaled loss, whose scale a resumed run has too") {
    TemporaryFolder folder;
    auto options = quick();
    options.precision = "fp16";
    train::Trainer whole(preset(), images(), options), first(preset(), images(), options), second(preset(), images(), options);
    for (int i = 0; i < 6; ++i) CHECK(std::isfinite(whole.step().loss.item<double>()));
    CHECK(whole.warnings().at(0).find("emulation") != std::string::npos);
    for (int i = 0; i < 3; ++i) first.step();
    const auto state = first.snapshot();
    REQUIRE(state.tensors.contains("optimizer.loss_scale"));
    io::save_safetensors(folder / "half.safetensors", state, io::Checksum::crc32);
    second.restore(folder / "half.safetensors");
    for (int i = 0; i < 3; ++i) second.step();
    check_equal(second.method(), whole.method());
}

TEST_CASE("float16 lowers the scale where gradients overflow, and goes on") {
    struct Steep {  // gradients of 1e36: times 65536 they are infinite in float32, times 1 they are not
        losses::NtXent good{.temperature = 0.2};
        Tensor operator()(const Tensor& a, const Tensor& b) const { return good(a, b) * 1e36; }
    };
    auto options = quick();
    options.precision = "fp16";
    train::Trainer trainer(preset_of(tiny_recipe(Steep{})), images(), options);
    for (int i = 0; i < 3; ++i) trainer.step();
    CHECK(trainer.skipped() == 3);
    CHECK(trainer.skipped_in_a_row() == 0);  // overflows do not end a run at once
    for (const auto& [name, value] : trainer.snapshot().tensors)
        if (name == "optimizer.loss_scale") CHECK(value.item<float>() == 65536.0f / 8);
}
