// SPDX-License-Identifier: Apache-2.0
#include <doppel/train/callbacks/metrics_log.hpp>
#include <doppel/train/train.hpp>

#include "support/train_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("metrics.jsonl has a line each log_every steps, and none twice after resuming") {
    TemporaryFolder folder;
    auto options = quick(folder.path());
    options.log_every = 3;
    const auto record = [](train::Trainer& trainer, const train::StepReport&) { trainer.record("of_mine", 7); };
    train::train(preset(), images(), options, record);
    double seconds = 0;
    const auto steps = [&] {
        std::vector<std::int64_t> list;
        for (const auto& line : io::read_json_lines(folder / "metrics.jsonl")) {
            list.push_back(line["step"].get<std::int64_t>());
            for (auto* key : {"epoch", "loss", "lr", "images_per_second", "feature_std", "train_seconds"}) CHECK(line[key].is_number());
            CHECK(line["of_mine"] == 7);
            CHECK(line["train_seconds"].get<double>() >= seconds);
            seconds = line["train_seconds"].get<double>();
        }
        return list;
    };
    const std::vector<std::int64_t> expected{3, 6, 9, 12, 15, 18, 20};
    CHECK(steps() == expected);
    options.resume = train::Checkpoints(folder / "checkpoints", 9).list().front().string();
    seconds = 0;
    const auto result = train::train(preset(), images(), options, record);
    CHECK(steps() == expected);
    CHECK(result.seconds >= seconds);  // of both processes
}

TEST_CASE("evaluations have lines of their own, and the log writes nothing without a folder") {
    TemporaryFolder folder;
    const train::EvaluateEvery evaluate{.epochs = 2, .measure = [](train::Trainer&) { return train::Metrics{{"score", 0.5}}; }};
    train::train(preset(), images(), quick(folder / "run"), evaluate);
    std::vector<std::int64_t> steps;
    for (const auto& line : io::read_json_lines(folder / "run" / "metrics.jsonl"))
        if (line.contains("score")) steps.push_back(line["step"].get<std::int64_t>());
    CHECK(steps == std::vector<std::int64_t>{10});
    train::train(preset(), images(), quick(), evaluate);
    CHECK(!std::filesystem::exists("metrics.jsonl"));
}
