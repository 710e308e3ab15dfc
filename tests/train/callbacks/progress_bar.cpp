// SPDX-License-Identifier: Apache-2.0
#include <doppel/train/callbacks/progress_bar.hpp>
#include <doppel/train/train.hpp>

#include "support/train_support.hpp"

#include <cstdio>

using namespace doppel;
using namespace doppel::test;

namespace {

/// What a run shows.
template <class Run>
std::string shown(Run&& run) {
    std::FILE* file = std::tmpfile();
    {
        train::ProgressBar bar(file);
        run(bar);
    }
    std::string text(static_cast<std::size_t>(std::ftell(file)), '\0');
    std::rewind(file);
    text.resize(std::fread(text.data(), 1, text.size(), file));
    std::fclose(file);
    return text;
}

}  // namespace

TEST_CASE("the progress bar shows steps, the loss and each warning when it comes") {
    auto options = quick();
    options.progress = train::ProgressMode::lines;
    const auto text = shown([&](auto& bar) {
        train::Trainer trainer(stumbling({7}), images(), options);
        trainer.warn("mind this");
        train::run(trainer, bar);
    });
    CHECK(mentions(text, {"warning: mind this\n", "epoch 4/4", "step 20/20", "loss ", "warning: step 8: the loss is nan; the step is skipped\n"}));
    CHECK(text.find("warning: mind this") == text.rfind("warning: mind this"));
}

TEST_CASE("the progress bar says where a run resumes, and is silent when it is off") {
    TemporaryFolder folder;
    train::train(preset(), images(), quick(folder.path()));
    const auto resumed = [&](train::ProgressMode mode) {
        auto options = quick();
        options.progress = mode;
        return shown([&](auto& bar) {
            train::Trainer trainer(preset(), images(), options);
            trainer.restore(folder / "checkpoints" / "step-00000010.safetensors");
            train::run(trainer, bar);
        });
    };
    CHECK(mentions(resumed(train::ProgressMode::lines), {"resuming from", "step-00000010.safetensors (step 10 of 20)"}));
    CHECK(resumed(train::ProgressMode::off).empty());
}
