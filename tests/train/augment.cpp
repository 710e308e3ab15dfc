// SPDX-License-Identifier: Apache-2.0
// Runs whose views are made on the training device.
#include <doppel/train/trainer.hpp>

#include "support/train_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

train::TrainOptions on_device(std::int64_t resident_mb = 4096, int workers = 1) {
    auto options = quick();
    options.augment = train::Augment::device;
    options.resident_mb = resident_mb;
    options.workers = workers;
    return options;
}

}  // namespace

TEST_CASE("a run with views made on the device has the weights of one with the CPU's views") {
    train::Trainer cpu(preset(), images(), quick()), resident(preset(), images(), on_device()), crops(preset(), images(), on_device(0, 2));
    CHECK(cpu.augmented() == "cpu");
    CHECK(mentions(resident.augmented(), {"device; 40 images of 16x16 px stay there, 1 MB"}));
    CHECK(mentions(crops.augmented(), {"device; crops come from the CPU", "(--resident-mb)"}));
    CHECK(cpu.take_warnings().size() + 1 == resident.take_warnings().size());
    for (auto* trainer : {&cpu, &resident, &crops}) {
        trainer->rehearse();
        finish(*trainer);
    }
    check_equal(cpu.method(), resident.method());  // the pixels are equal on the CPU
    check_equal(cpu.method(), crops.method());
}

TEST_CASE("orders of ShuffleBN are drawn for views that are not made yet") {
    const auto shuffled = [] {
        return preset_of(Recipe{.encoder = tiny(),
                                .projector = heads::Mlp{.hidden = {16}, .out = 8},
                                .target = targets::Ema{.schedule = schedules::Constant{0.9}},
                                .loss = losses::NtXent{.temperature = 0.2},
                                .layout = {.bn_groups = 2, .shuffle_target = true}});
    };
    train::Trainer cpu(shuffled(), images(), quick()), resident(shuffled(), images(), on_device());
    for (int i = 0; i < 6; ++i) cpu.step(), resident.step();
    check_equal(cpu.method(), resident.method());
}

TEST_CASE("a resumed run with views made on the device is the same bit for bit") {
    const TemporaryFolder folder;
    for (const std::int64_t resident_mb : {4096, 0}) {
        train::Trainer whole(preset(), images(), on_device(resident_mb)), first(preset(), images(), on_device(resident_mb, 3));
        finish(whole);
        for (int i = 0; i < 7; ++i) first.step();
        io::save_safetensors(folder / "half.safetensors", first.snapshot(), io::Checksum::crc32);
        train::Trainer second(preset(), images(), on_device(resident_mb, 0));
        second.restore(folder / "half.safetensors");
        finish(second);
        check_equal(whole.method(), second.method());
    }
    train::Trainer cpu(preset(), images(), quick());
    CHECK(mentions(message_of([&] { cpu.restore(folder / "half.safetensors"); }), {"augment", "device"}));
}

TEST_CASE("an operation of one's own is refused when the trainer is made, and rehearsed views are whole") {
    auto mine = preset();
    mine.views.insert_after<augment::ColorJitter>(augment::AnyOperation([](Image&, random::Stream&) {}));
    CHECK(mentions(message_of([&] { train::Trainer(mine, images(), on_device()); }), {"--augment device", "'custom'", "use --augment cpu"}));
}
