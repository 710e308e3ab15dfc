// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/embedded.hpp>
#include <doppel/encoders/resnet.hpp>
#include <doppel/eval/features.hpp>
#include <doppel/run/skipped.hpp>
#include <doppel/run/told.hpp>
#include <doppel/views/simclr.hpp>

#include "support/processes.hpp"
#include "support/run_support.hpp"

#include <cmath>

using namespace doppel;
using namespace doppel::test;

TEST_CASE("the first process finds out, and all get its value or its error") {
    int calls = 0;
    as_processes(3, [&](const Group& group) {
        const auto figures = run::told(group, [&] {
            ++calls;
            return train::Metrics{{"knn_top1", 0.1 + 0.2}, {"alignment", std::nan("")}};
        });
        CHECK(figures.at("knn_top1") == 0.1 + 0.2);  // every bit
        CHECK(std::isnan(figures.at("alignment")));
        says([&] { run::told(group, []() -> std::string { fail("a full disk"); }); }, {"a full disk"});
        CHECK(run::told(group, [] { return std::string("a path"); }) == "a path");
    });
    CHECK(calls == 1);
}

TEST_CASE("the first process learns which images the others skipped") {
    as_processes(2, [&](const Group& group) {
        run::Skipped skipped(false);
        run::silent() = true;
        skipped.train->record(group.rank() + 4, "damaged");
        skipped.validation->note(7, "no end");
        skipped.tell_first(group);
        if (group.first()) {
            CHECK(skipped.count() == 2);
            CHECK(skipped.count_noted() == 1);
            CHECK(skipped.train->contains(5));
        }
        run::silent() = false;
    });
}

TEST_CASE("features that processes share are those of one process, bit for bit") {
    const auto set = images(), few = data::Dataset(data::Embedded({.size = 16, .count = 3}));
    auto net = encoders::ResNet{.depth = 18, .stem = Stem::cifar, .width = 0.125}.build();
    const auto pipeline = views::simclr_small(16).eval;
    for (const auto& all : {data::Dataset(set), few}) {
        const auto one = eval::features(net, all, pipeline, {.batch_size = 5, .workers = 0});
        as_processes(3, [&](const Group& group) {
            const auto shared = eval::features(net, all, pipeline, {.batch_size = 5, .workers = 0, .group = group});
            CHECK(at::equal(shared.rows, one.rows));
            CHECK(at::equal(shared.index, one.index));
            CHECK(at::equal(shared.labels, one.labels));
        });
    }
}
