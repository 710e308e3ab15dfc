// SPDX-License-Identifier: Apache-2.0
#include <doppel/train/callbacks/give_up.hpp>
#include <doppel/train/train.hpp>

#include "support/train_support.hpp"

#include <numeric>

using namespace doppel;
using namespace doppel::test;

TEST_CASE("steps in a row without a finite loss end the run with likely causes and the last good checkpoint") {
    TemporaryFolder folder;
    std::vector<std::int64_t> late{11, 12, 13, 14, 15}, early{1, 2, 3, 4, 5};
    const auto text = message_of([&] { train::train(stumbling(late), images(), quick(folder / "late")); });
    const auto checkpoint = (folder / "late" / "checkpoints" / "step-00000010.safetensors").string();
    CHECK(mentions(text, {"not finite 5 steps in a row", "step 16", "--lr", "temperature", checkpoint, "--resume " + checkpoint}));
    CHECK(train::Checkpoints(folder / "late" / "checkpoints", 9).newest()->string() == checkpoint);  // none of doubtful weights
    CHECK(mentions(message_of([&] { train::train(stumbling(early), images(), quick(folder / "early")); }), {"no checkpoint was written yet"}));
}

TEST_CASE("a larger give_up_after waits longer; skipping every step leaves the weights as they were") {
    std::vector<std::int64_t> all(20);
    std::iota(all.begin(), all.end(), 0);
    auto options = quick();
    options.give_up_after = 100;
    const auto result = train::train(stumbling(all), images(), options);
    CHECK(result.skipped == 20);
    CHECK(std::isnan(result.loss));
    check_equal(result.method, train::Trainer(preset(), images(), quick()).method());
}
