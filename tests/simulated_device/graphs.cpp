// SPDX-License-Identifier: Apache-2.0
// Passes that are captured and replayed give the bits of passes that run as ever, and what cannot be captured says so.
#include <doppel/train/trainer.hpp>

#include "simulated_device/device/graph.hpp"
#include "simulated_device/subjects.hpp"

using namespace doppel;
using namespace doppel::test;
using simulated::What;

namespace {

struct Run {
    std::vector<double> losses;
    io::TensorFile state;
    std::vector<std::string> warnings;
    std::int64_t launches = 0;  // of the last step
    std::string races;
};

Run run(AnyPreset preset, bool graphs, std::int64_t steps, std::int64_t accumulate = 1, train::Augment augment = train::Augment::cpu) {
    const simulated::UseGraphs use;
    SimulatedKernels kernels;
    const device::UseBackend backend(kernels);
    auto options = options_of_subjects("cuda:1", "fp32");
    options.capture = graphs;
    options.accumulate = accumulate;
    options.augment = augment;
    preset.epochs = 10;
    train::Trainer trainer(preset, images_of_subjects(), options);
    Run run;
    simulated::take();
    for (std::int64_t step = 0; step < steps; ++step) {
        run.losses.push_back(trainer.step().loss.item<double>());
        const auto trace = simulated::take();
        run.launches = trace.count(What::launch);
        run.races += trace.text(What::race);
    }
    run.state = trainer.snapshot();
    run.warnings = trainer.warnings();
    return run;
}

void check_equal(const Run& graphs, const Run& plain) {
    CHECK(graphs.losses == plain.losses);
    CHECK(graphs.races == "");
    for (const auto& [name, value] : plain.state.tensors) {
        INFO(name);
        const bool equal = at::equal(value, graphs.state.tensors.at(name));
        CHECK(equal);
    }
}

Subject subject(const std::string& name) {
    for (const auto& one : subjects())
        if (one.name == name) return one;
    fail("no subject ", name);
}

/// NtXent with a number of the host that changes at every step; `tells`: and says so.
template <bool tells>
struct Scheduled {
    losses::NtXent loss{};
    double of(const TrainingStep& at) const { return 1 + 0.1 * static_cast<double>(at.step); }
    Tensor operator()(const Outputs& out) const { return loss(out.online[0], out.target[1]) * of(out.at); }
    std::vector<double> host_numbers(const TrainingStep& at) const { return tells ? std::vector{of(at)} : std::vector<double>{}; }
};

template <class Loss>
AnyPreset with_loss(Loss loss) {
    const auto preset = subject("simclr").preset();
    Preset<decltype(Recipe{.encoder = encoders::ResNet{}, .projector = heads::Mlp{}, .loss = loss})> own{
        .name = "own",
        .recipe = Recipe{.encoder = encoders::ResNet{.depth = 18, .stem = Stem::strided, .width = 0.125}, .projector = heads::Mlp{.hidden = {16}, .out = 8}, .loss = loss},
        .views = preset.views,
        .optimizer = optim::Sgd{},
        .lr = [](std::int64_t) { return schedules::Constant{0.05}; },
        .epochs = 10,
        .batch_size = 16};
    return erase(own);
}

}  // namespace

TEST_CASE("captured passes give the bits of passes that run as ever") {  // of all methods: methods.cpp
    simulated::install();
    std::vector<Subject> some;
    for (const char* name : {"inst_disc", "moco_v2, 8 groups", "swav, queue", "dino", "mmcr, lambda and LARS", "wmse", "lejepa"})
        some.push_back(subject(name));
    some.push_back({"ibot without BatchNorm", "ibot", {{"head-norm", "false"}}, true});  // whose patches are filled up
    for (const auto& one : some) {
        INFO(one.name);
        const std::int64_t steps = one.method == "ibot" ? 10 : 7;
        const auto plain = run(one.preset(), false, steps), graphs = run(one.preset(), true, steps);
        check_equal(graphs, plain);
        for (const auto& warning : graphs.warnings) CHECK(warning.find("captured") == std::string::npos);
        CHECK(graphs.launches < plain.launches / 3);
    }
}

TEST_CASE("captured passes accumulate") {
    simulated::install();
    for (const char* name : {"byol", "moco_v2"}) {  // of both passes' outputs, target and queue take their part
        INFO(name);
        const auto preset = subject(name).preset();
        check_equal(run(preset, true, 5, 2), run(preset, false, 5, 2));
    }
}

TEST_CASE("captured passes make their views on the device, with those of the CPU") {
    simulated::install();
    for (const char* name : {"simclr", "moco_v2"}) {
        INFO(name);
        const auto preset = subject(name).preset();
        check_equal(run(preset, true, 7, 1, train::Augment::device), run(preset, false, 7));
    }
}

TEST_CASE("a loss that names its number of the host gets a graph for each, one that hides it is replayed with the old one") {
    simulated::install();
    check_equal(run(with_loss(Scheduled<true>{}), true, 7), run(with_loss(Scheduled<true>{}), false, 7));
    CHECK(run(with_loss(Scheduled<false>{}), true, 7).losses != run(with_loss(Scheduled<false>{}), false, 7).losses);
}

TEST_CASE("a loss that does not say what it depends on is not captured") {
    simulated::install();
    struct Silent {
        losses::NtXent loss{};
        Tensor operator()(const Outputs& out) const { return loss(out.online[0], out.target[1]); }
    };
    CHECK(run(with_loss(Silent{}), true, 7).launches > 100);
}

TEST_CASE("a pass that waits for the device goes on uncaptured, with a warning that says why") {
    simulated::install();
    struct Waits {
        losses::NtXent loss{};
        Tensor operator()(const Tensor& a, const Tensor& b) const {
            const Tensor value = loss(a, b);
            return value.item<double>() > 1e9 ? value * 0 : value;
        }
    };
    const auto graphs = run(with_loss(Waits{}), true, 7), plain = run(with_loss(Waits{}), false, 7);
    check_equal(graphs, plain);
    std::string text;
    for (const auto& warning : graphs.warnings) text += warning;
    CHECK(mentions(text, {"not captured", "reads a value back"}));
}
