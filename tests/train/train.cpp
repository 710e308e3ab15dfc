// SPDX-License-Identifier: Apache-2.0
#include <doppel/train/train.hpp>

#include "support/train_support.hpp"

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

struct All {
    std::vector<std::string>& log;
    void begin(train::Trainer&) { log.push_back("begin"); }
    void step(train::Trainer&, const train::StepReport& r) { log.push_back("step " + std::to_string(r.step)); }
    void epoch(train::Trainer& t, std::int64_t n) {
        log.push_back("epoch " + std::to_string(n));
        t.publish({{"x", 1}});
    }
    void evaluation(train::Trainer&, const train::Metrics&) { log.push_back("evaluation"); }
    void end(train::Trainer&, train::TrainResult& r) { log.push_back("end" + (r.error.empty() ? "" : ": " + r.error)); }
};
struct OnlyEnd { void end(train::Trainer&, train::TrainResult&) {} };
struct Empty {};
struct Misspelled { void on_step(train::Trainer&, const train::StepReport&) {} void end(train::Trainer&, train::TrainResult&) {} };
struct Mistyped { void step(train::Trainer&, int*) {} void end(train::Trainer&, train::TrainResult&) {} };
struct Overloaded {
    void step(int) {}
    template <class R> void step(train::Trainer&, const R&) {}
};

const auto function = [](train::Trainer&, const train::StepReport&) {};
const auto no_function = [](train::Trainer&) {};

static_assert(train::Callback<All> && train::Callback<OnlyEnd> && train::Callback<Overloaded> && train::Callback<decltype(function)>);
static_assert(!train::Callback<Empty> && !train::Callback<Misspelled> && !train::Callback<Mistyped> && !train::Callback<int>);
static_assert(!train::Callback<decltype(no_function)>);

}  // namespace

TEST_CASE("callbacks are called at each event, in order, with any subset of the hooks") {
    std::vector<std::string> log;
    auto two = preset();
    two.epochs = 1;
    train::Trainer trainer(two, images(24), quick());
    std::int64_t counted = 0;
    train::run(trainer, All{log}, OnlyEnd{}, [&](train::Trainer&, const train::StepReport&) { ++counted; });
    CHECK(log == std::vector<std::string>{"begin", "step 1", "step 2", "step 3", "epoch 1", "evaluation", "end"});
    CHECK(counted == 3);
}

TEST_CASE("a whole run in one call leaves metrics and checkpoints; it resumes bit for bit from each of them") {
    TemporaryFolder folder;
    train::Trainer whole(preset(), images(), quick());
    finish(whole);
    const auto first = train::train(preset(), images(), quick(folder / "run"));
    CHECK(first.steps == 20);
    CHECK(first.skipped == 0);
    CHECK(first.seconds > 0);
    CHECK(first.images_per_second > 0);
    check_equal(first.method, whole.method());
    CHECK(fs::exists(folder / "run" / "metrics.jsonl"));
    const auto all = train::Checkpoints(folder / "run" / "checkpoints", 100).list();
    REQUIRE(all.size() == 4);
    CHECK(first.checkpoint == all.back());
    for (const auto& checkpoint : all) {
        auto options = quick(folder / "again");
        options.resume = checkpoint.string();
        const auto result = train::train(preset(), images(), options);
        CHECK(result.steps == 20);
        check_equal(result.method, whole.method());
        CHECK(same_bytes(result.checkpoint, all.back()));
    }
}

TEST_CASE("an exception in a callback or in a step loses no progress") {
    TemporaryFolder folder;
    train::Trainer whole(preset(), images(), quick());
    finish(whole);
    const auto fails = [&](const fs::path& out, auto data, auto callback, auto... more) {
        auto options = quick(out);
        options.checkpoint_every = 100;
        options.workers = 0;
        return message_of([&] { train::train(preset(), data, options, callback, more...); });
    };
    const auto goes_on = [&](const fs::path& out) {
        auto options = quick(out);
        options.resume = "auto";
        check_equal(train::train(preset(), images(), options).method, whole.method());
    };
    const auto checkpoint = [&](const char* name) { return (folder / name / "checkpoints" / "step-00000013.safetensors").string(); };
    std::vector<std::string> log;
    const auto at_13 = [](train::Trainer&, const train::StepReport& r) { if (r.step == 13) fail("the callback fails"); };
    auto text = fails(folder / "a", images(), at_13, All{log});
    CHECK(mentions(text, {"the callback fails", "--resume " + checkpoint("a")}));
    CHECK(log.back() == "end: the callback fails");
    goes_on(folder / "a");

    text = fails(folder / "b", Failing{images(), std::make_shared<std::atomic<std::int64_t>>(8 * 13 + 5)}, OnlyEnd{});
    CHECK(mentions(text, {"No such file", checkpoint("b")}));
    goes_on(folder / "b");

    // What is no Error is thrown as it is; the checkpoint is there all the same.
    const auto other = [](train::Trainer&, const train::StepReport& r) { if (r.step == 13) throw 7; };
    auto options = quick(folder / "c");
    options.checkpoint_every = 100;
    CHECK_THROWS_AS(train::train(preset(), images(), options, other), int);
    goes_on(folder / "c");

    // An end hook that fails does not keep the others from running, and is not lost.
    struct BadEnd { void end(train::Trainer&, train::TrainResult&) { fail("the end fails"); } };
    log.clear();
    CHECK(mentions(fails(folder / "d", images(), BadEnd{}, All{log}), {"the end fails", "step-00000020"}));
    CHECK(log.back() == "end: the end fails");
}
