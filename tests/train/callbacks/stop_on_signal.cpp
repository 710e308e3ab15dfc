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
    for (int signal : {SIGINT, SIGTERM}) {
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
        CHECK(result.stopped == (signal == SIGINT ? "SIGINT" : "SIGTERM"));
        CHECK(result.steps == 10);
        CHECK(std::filesystem::exists(result.checkpoint));
        options.resume = "auto";
        const auto resumed = train::train(preset(), images(), options);
        CHECK(resumed.signal == 0);
        check_equal(resumed.method, whole.method());
    }
}
