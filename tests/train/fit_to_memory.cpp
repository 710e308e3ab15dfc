// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/embedded.hpp>
#include <doppel/losses/nt_xent.hpp>
#include <doppel/train/fit_to_memory.hpp>

#include "support/train_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

/// A loss that needs more memory than there is for more than `most` images.
struct Hungry {
    std::int64_t most;
    losses::NtXent loss{};
    Tensor operator()(const Tensor& a, const Tensor& b) const {
        if (a.size(0) > most) throw c10::OutOfMemoryError({}, "CUDA out of memory. Tried to allocate 3 GiB");
        return loss(a, b);
    }
};

auto hungry(std::int64_t most) {
    auto preset = preset_of(tiny_recipe(Hungry{most}));
    preset.batch_size = 8;
    return preset;
}

}  // namespace

TEST_CASE("a batch that does not fit says which one does") {
    train::Trainer trainer(hungry(3), images(), quick());
    std::string text;
    try {
        trainer.rehearse();
    } catch (const OutOfMemory& error) { text = error.what(); }
    CHECK(mentions(text, {"8 images a pass", "out of memory", "2 images fit", "--batch-size 2", "--accumulate 0"}));
    train::Trainer none(hungry(1), images(), quick());
    CHECK(mentions(message_of([&] { none.rehearse(); }), {"not even 2 images fit", "--size"}));
}

TEST_CASE("batches are split into as few passes as fit") {
    auto preset = erase(hungry(4));
    auto options = quick();
    options.accumulate = 0;
    CHECK(mentions(message_of([&] { train::Trainer(preset, images(), options); }), {"accumulate", "fit_to_memory"}));
    train::fit_to_memory(preset, images(), options);
    CHECK(options.accumulate == 2);
    CHECK(preset.batch_size == 4);
    train::Trainer trainer(preset, images(), options);
    CHECK(trainer.images_per_step() == 8);
    trainer.step();

    preset = erase(hungry(1));
    CHECK(mentions(message_of([&] { train::fit_to_memory(preset, images(), options); }), {"--accumulate 0", "--batch-size"}));
}
