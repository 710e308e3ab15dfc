// SPDX-License-Identifier: Apache-2.0
#include <doppel/train/callbacks/stop_on_signal.hpp>
#include <doppel/train/train.hpp>

#include "support/train_support.hpp"

#include <csignal>

using namespace doppel;
using namespace doppel::test;

TEST_CASE("an interrupt ends a run after the current step, with a checkpoint that goes on bit for bit") {
    TemporaryFolder folder;
    train::Trainer whole(preset(), images(), quick());
    finish(whole);
    for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
        struct Raise {
            int signal;
            void epoch(train::Trainer&, std::int64_t done) const {
                if (done == 2) std::raise(signal);
            }
        };
        auto options = quick(folder / std::to_string(signal));
        options.checkpoint_every = 100;
        const auto result = train::train(preset(), images(), options, Raise{signal});
        CHECK(result.signal == signal);
        CHECK(result.stopped == (signal == SIGINT ? "SIGINT" : signal == SIGTERM ? "SIGTERM" : "SIGHUP"));
        CHECK(result.steps == 10);
        CHECK(std::filesystem::exists(result.checkpoint));
        options.resume = "auto";
        const auto resumed = train::train(preset(), images(), options);
        CHECK(resumed.signal == 0);
        check_equal(resumed.method, whole.method());
    }
}

TEST_CASE("SIGUSR1 writes a checkpoint of the current step, and the run goes on") {
    TemporaryFolder folder;
    auto options = quick(folder.path());
    options.checkpoint_every = 100;
    std::int64_t saved_at = -1;
    const auto result = train::train(preset(), images(), options, [&](train::Trainer& trainer, const train::StepReport& report) {
        if (report.step == 3) std::raise(SIGUSR1);
        if (report.step == 4) saved_at = trainer.checkpoint_step();
    });
    CHECK(saved_at == 3);
    CHECK(result.signal == 0);
    CHECK(result.stopped.empty());
    CHECK(std::filesystem::exists(folder / "checkpoints"));
}

TEST_CASE("an ignored signal stays ignored, and a closed pipe does not end a run") {
    const auto before = std::signal(SIGHUP, SIG_IGN);  // as nohup does
    {
        const train::Interrupt interrupt;
        std::raise(SIGHUP);
        std::raise(SIGPIPE);
        CHECK(interrupt.signal() == 0);
    }
    CHECK(std::signal(SIGHUP, before) == SIG_IGN);
    CHECK(std::signal(SIGPIPE, SIG_DFL) == SIG_DFL);  // as it was before
}
