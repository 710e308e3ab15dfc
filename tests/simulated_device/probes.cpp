// SPDX-License-Identifier: Apache-2.0
// Linear probe, fine-tuning and online probe on the simulated device, on one that is not the current one, with memory that
// only kernels touch: the figures of the CPU.
#include <doppel/eval/fine_tune.hpp>
#include <doppel/eval/linear_probe.hpp>
#include <doppel/train/callbacks/online_probe.hpp>
#include <doppel/train/train.hpp>

#include "simulated_device/device/device.hpp"
#include "simulated_device/device/graph.hpp"
#include "support/train_support.hpp"

using namespace doppel;
using namespace doppel::test;
using simulated::What;

namespace {

/// Runs `measure(net)` with a network on the CPU and with the same one on the device, closed to the host.
template <class Measure>
auto on_both(const Measure& measure) {
    simulated::install();
    at::manual_seed(5);
    TinyNet net(8);
    const auto cpu = measure(net);
    const simulated::Use use({.closed_to_host = true});
    net->to(at::Device(at::kCUDA, 1));
    simulated::take();
    auto device = measure(net);
    CHECK(simulated::take().text(What::race) == "");
    return std::pair(cpu, std::move(device));
}

data::Dataset validation_images() { return data::Embedded({.size = 16, .count = 30, .first = 500}); }

}  // namespace

TEST_CASE("a linear probe on a device has the CPU's figures") {
    const auto [cpu, device] = on_both([](TinyNet net) {
        return eval::linear_probe(*net, [&](const Tensor& x) { return net->forward(x); }, images(60), validation_images(),
                                  views::simclr_small(12).eval, {.epochs = 3, .batch_size = 16, .rates = "0.1,3,20"});
    });
    CHECK(device.weight.is_cuda());
    CHECK(device.rate == cpu.rate);
    CHECK(largest_difference(device.weight.cpu(), cpu.weight) < 1e-5);
    CHECK(device.last.top1 == cpu.last.top1);
    CHECK(device.best_epoch == cpu.best_epoch);
}

TEST_CASE("fine-tuning on a device has the CPU's figures") {
    const auto [cpu, device] = on_both([](TinyNet net) {
        return eval::fine_tune(*net, [&](const Tensor& x) { return net->forward(x); }, images(60), validation_images(),
                               views::simclr_small(12).eval, {.epochs = 2, .batch_size = 16, .layer_decay = 1});
    });
    for (const auto& [name, value] : cpu.encoder) CHECK(largest_difference(device.encoder.at(name).cpu(), value) < 1e-5);
    CHECK(device.last.top1 == cpu.last.top1);
}

TEST_CASE("an online probe sees the features of captured passes, and the method is bit by bit the one without it") {
    simulated::install();
    const auto run = [](const std::string& device, bool probed, bool captured) {
        const simulated::UseGraphs graphs;
        auto described = preset();
        described.epochs = 3;
        auto options = quick();
        options.device = device;
        options.precision = "fp32";
        options.log_every = 1000;
        options.capture = captured;
        train::Trainer trainer(described, images(48), options);  // 6 steps an epoch: captured from the fourth on
        train::OnlineProbe probe;
        if (probed)
            train::run(trainer, probe);
        else
            train::run(trainer);
        auto state = trainer.snapshot().tensors;
        for (auto& [name, value] : state) value = value.cpu();
        std::erase_if(state, [](const auto& item) { return item.first.starts_with("generator."); });
        return state;
    };
    const auto cpu = run("cpu", true, false);
    const simulated::Use use({.closed_to_host = true});
    simulated::take();
    const auto plain = run("cuda:1", false, true), probed = run("cuda:1", true, true);
    CHECK(simulated::take().text(What::race) == "");
    for (const auto& [name, value] : plain) {
        INFO(name);
        CHECK(bit_equal(probed.at(name), value));
    }
    CHECK(cpu.at("callback.online_probe.weight").abs().max().item<double>() > 0.1);
    for (const auto& [name, value] : cpu) {
        INFO(name);
        if (value.is_floating_point()) CHECK(largest_difference(probed.at(name), value) < 1e-4);
    }
}
