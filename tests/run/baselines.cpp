// SPDX-License-Identifier: Apache-2.0
#include <doppel/run/baselines.hpp>
#include <doppel/run/run.hpp>

#include "support/run_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("baselines carry what they were measured with, and are measured again when that differs") {
    TemporaryFolder folder;
    const auto out = folder / "run";
    auto options = options_of(out);
    const auto first = run::run(preset(), data_of(), options);
    options.train.resume = "auto";
    options.k = 1;
    const auto second = run::run(preset(), data_of(16), options);
    CHECK(lines_of(out, "baselines") == 1);
    TemporaryFolder fresh;
    auto alone = options_of(fresh / "run");
    alone.k = 1;
    const auto expected = run::run(preset(), data_of(16), alone);
    CHECK(second.metrics == expected.metrics);
    CHECK(second.metrics.at("knn_top1_pixels") != first.metrics.at("knn_top1_pixels"));
}
