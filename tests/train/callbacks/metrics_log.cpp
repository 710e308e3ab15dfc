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
            for (auto* key : {"epoch", "loss", "lr", "images_per_second", "feature_std", "grad_norm", "data_wait", "train_seconds"}) CHECK(line[key].is_number());
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

namespace {

/// A layer beside the network whose parameters the loss does not reach.
struct IdleImpl : torch::nn::Module {
    torch::nn::Linear used{nullptr}, idle{nullptr};
    IdleImpl() {
        used = register_module("used", torch::nn::Linear(3, 8));
        idle = register_module("idle", torch::nn::Linear(3, 8));
    }
    Tensor forward(const Tensor& images) { return used->forward(images.mean({2, 3})); }
    std::int64_t feature_dim() const { return 8; }
};
TORCH_MODULE(Idle);

}  // namespace

TEST_CASE("parameters that get no gradient are named once, in a warning and a line") {
    TemporaryFolder folder;
    const auto idle = preset_of(Recipe{.encoder = [] { return Idle(); }, .loss = losses::NtXent{.temperature = 0.2}});
    std::vector<std::string> warnings;
    const auto collect = [&](train::Trainer& trainer, const train::StepReport&) { warnings = trainer.warnings(); };
    const auto named = [&] {
        std::vector<nlohmann::ordered_json> lines;
        for (const auto& line : io::read_json_lines(folder / "metrics.jsonl"))
            if (line.value("event", "") == "no_gradient") lines.push_back(line);
        return lines;
    };
    auto options = quick(folder.path());
    train::train(idle, images(), options, collect);
    REQUIRE(named().size() == 1);
    CHECK(named()[0]["step"] == 1);
    CHECK(named()[0]["parameters"] == nlohmann::ordered_json({"encoder.idle.weight", "encoder.idle.bias"}));
    CHECK(mentions(warnings.back(), {"2 parameters get no gradient", "encoder.idle.weight, encoder.idle.bias"}));
    options.resume = train::Checkpoints(folder / "checkpoints", 9).list().front().string();
    train::train(idle, images(), options, collect);
    CHECK(named().size() == 1);
    CHECK(train::Trainer(preset(), images(), quick()).without_gradient().empty());
}

TEST_CASE("grad_norm is the norm before clipping") {
    const auto norm = [](double most) {
        auto clipped = preset();
        clipped.clip.global = most;
        train::Trainer trainer(clipped, images(), quick());
        return trainer.step().metrics.at("grad_norm");
    };
    CHECK(norm(1e6) > 0.01);
    CHECK(norm(1e-3) == norm(1e6));
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
