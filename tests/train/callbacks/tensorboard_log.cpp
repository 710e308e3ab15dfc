// SPDX-License-Identifier: Apache-2.0
#include <doppel/train/callbacks/tensorboard_log.hpp>
#include <doppel/train/train.hpp>

#include "support/train_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

std::string all_of(const std::filesystem::path& folder) {
    std::string text;
    for (const auto& file : std::filesystem::directory_iterator(folder)) text += read_text(file.path());
    return text;
}

}  // namespace

TEST_CASE("TensorBoard gets the figures of steps and evaluations") {
    TemporaryFolder folder;
    auto options = quick(folder.path());
    options.log_every = 20;
    train::Trainer trainer(preset(), images(), options);
    train::TensorboardLog board;
    train::run(trainer, board, train::EvaluateEvery{.epochs = 1, .measure = [](train::Trainer&) { return train::Metrics{{"score", 0.5}}; }});
    CHECK(mentions(all_of(folder / "tensorboard"), {"train/loss", "train/lr", "train/feature_std", "eval/score"}));
}

TEST_CASE("a resumed run tells TensorBoard to forget the steps after its checkpoint, not the checkpoint's own") {
    TemporaryFolder folder;
    train::train(preset(), images(), quick(folder / "run"));
    auto options = quick(folder / "again");
    options.resume = (folder / "run" / "checkpoints" / "step-00000015.safetensors").string();
    train::train(preset(), images(), options);
    const std::string expected = io::detail::restart_event(0, 16).substr(9);  // without its time
    CHECK(all_of(folder / "again" / "tensorboard").find(expected) != std::string::npos);
}
