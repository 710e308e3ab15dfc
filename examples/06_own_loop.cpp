// SPDX-License-Identifier: Apache-2.0
// Lesson 6: your own training loop.
//
// Twice the same training. First from the parts, to see (or to change) what happens in a step:
//     forward() reads queue, EMA target and the loss's state; commit() writes them, after the optimizer's step.
//     A step that is not taken is thrown away with skip(), and leaves no trace. A forgotten commit() is an error.
//
// Besides this a preset may freeze parameters, clip gradients and schedule the weight decay; SimCLR's does not:
//     optim::drop_frozen(preset.frozen, optimizer.groups(), at.step, at.of.steps_per_epoch);
//     preset.clip(optimizer.groups());
//     optimizer.step(lr(at), (*preset.weight_decay)(at));
// Then with train::Trainer, which does all of this, accumulation, mixed precision, snapshot() and exact restore() too.
//
//     ./run example 06 [EPOCHS]
//
// Next: your own evaluation or learning-rate search between the Trainer's steps; trainer.stop("reason") ends a run.
#include <doppel/core/device.hpp>
#include <doppel/data/embedded.hpp>
#include <doppel/encoders/resnet.hpp>
#include <doppel/methods/simclr.hpp>
#include <doppel/train/primitives.hpp>
#include <doppel/train/trainer.hpp>

#include <iostream>
using namespace doppel;

int main(int argc, char** argv) {
    const encoders::ResNet encoder{.depth = 18, .stem = Stem::strided, .width = 0.25};
    auto preset = methods::simclr(encoder, methods::simclr_small);
    preset.epochs = argc > 1 ? std::atoll(argv[1]) : 10;
    const data::Dataset images = data::Embedded({.count = 1000});
    const at::Device device = device_from("auto");

    AnyMethod method = Method{preset, {.seed = 1}};
    method.module().to(device);
    train::channels_last(method.module());
    const data::Loader loader(images, preset.views.pipelines,
                              {.batch_size = preset.batch_size, .seed = 1, .globals = preset.views.globals});
    const schedules::AnySchedule lr = preset.lr.at(preset.batch_size);
    const std::int64_t steps = preset.epochs * loader.batches();
    TrainingStep at{.of = {.samples = images.size(), .steps = steps, .steps_per_epoch = loader.batches()}};
    for (const auto& warning : method.begin(at.of)) std::cerr << warning << '\n';
    optim::AnyOptimizer optimizer = preset.build_optimizer(method.trainable(), lr, at.of);
    const auto pass = loader.pass(0, steps);
    for (; auto batch = pass->next(); ++at.step) {
        const Tensor loss = method.forward(train::to_device(std::move(*batch), device));
        loss.backward();
        if (train::all_finite(loss, optimizer.groups())) optimizer.step(lr(at)), method.commit();
        else method.skip();
        optimizer.zero_grad();
        if (at.step + 1 == steps) std::cout << "own loop: loss " << loss.item<double>() << '\n';
    }

    train::Trainer trainer(preset, images, {.seed = 1, .precision = "fp32"});
    while (!trainer.finished()) {
        const train::StepReport report = trainer.step();
        if (trainer.finished()) std::cout << "Trainer:  loss " << report.loss.item<double>() << '\n';
    }
    return 0;
}
