// SPDX-License-Identifier: Apache-2.0
#include <doppel/train/callbacks/evaluate_every.hpp>
#include <doppel/train/train.hpp>

#include "support/train_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("evaluations reach the evaluation hooks of all callbacks, and leave the method in training mode") {
    struct Listens {
        std::vector<std::pair<std::int64_t, double>> seen;
        void evaluation(train::Trainer& trainer, const train::Metrics& metrics) { seen.emplace_back(trainer.epoch(), metrics.at("score")); }
    } before, after;
    double score = 0;
    train::EvaluateEvery evaluate{.epochs = 1, .measure = [&](train::Trainer& trainer) {
        trainer.method().module().eval();
        return train::Metrics{{"score", ++score}};
    }};
    train::Trainer trainer(preset(), images(), quick());
    struct InTraining {
        void epoch(train::Trainer& t, std::int64_t) { CHECK(t.method().module().is_training()); }
    };
    train::run(trainer, before, evaluate, InTraining{}, after);
    CHECK(before.seen == std::vector<std::pair<std::int64_t, double>>{{1, 1}, {2, 2}, {3, 3}});  // the end is another's
    CHECK(after.seen == before.seen);
}

TEST_CASE("an evaluation that fails is a warning and does not end the training; it can end it by intent") {
    train::Trainer trainer(preset(), images(), quick());
    const auto result = train::run(trainer, train::EvaluateEvery{.epochs = 2, .measure = [](train::Trainer&) -> train::Metrics { fail("no labels"); }});
    CHECK(result.steps == 20);
    CHECK(mentions(trainer.warnings().back(), {"epoch 2", "no labels"}));
    struct EarlyStop {
        void evaluation(train::Trainer& t, const train::Metrics& m) { if (m.at("score") >= 2) t.stop("no better"); }
    };
    double score = 0;
    const train::EvaluateEvery evaluate{.epochs = 1, .measure = [&](train::Trainer&) { return train::Metrics{{"score", ++score}}; }};
    const auto stopped = train::train(preset(), images(), quick(), evaluate, EarlyStop{});
    CHECK(stopped.steps == 10);
    CHECK(stopped.stopped == "no better");
}
