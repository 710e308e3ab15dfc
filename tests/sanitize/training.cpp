// SPDX-License-Identifier: Apache-2.0
// Built with the loader's tests under ThreadSanitizer: one small run with several loader threads and all that train() writes.
#include <doppel/train/train.hpp>

#include "support/train_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("a run with three loader threads, a log and checkpoints has no data race") {
    TemporaryFolder folder;
    auto options = quick(folder.path());
    options.workers = 3;
    const auto result = train::train(preset(), images(), options);
    CHECK(result.steps == 20);
}
