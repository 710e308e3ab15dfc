// SPDX-License-Identifier: Apache-2.0
// What is trained on the simulated device: every method of the registry, and variants that take other paths, with small
// networks on 32-px images.
#pragma once

#include <doppel/data/embedded.hpp>
#include <doppel/encoders/by_name.hpp>
#include <doppel/methods/registry.hpp>
#include <doppel/train/trainer.hpp>

#include "simulated_device/device/device.hpp"
#include "simulated_device/device/graph.hpp"
#include "support/kernels_on_cpu.hpp"
#include "support/support.hpp"

#include <map>
#include <string>
#include <vector>

namespace doppel::test {

/// 16 images a step, three steps an epoch, two epochs.
inline const data::Dataset& images_of_subjects() {
    static const data::Dataset all = data::Embedded({.size = 32, .count = 48});
    return all;
}
inline constexpr std::int64_t steps_of_subjects = 6;

struct Subject {
    std::string name, method;
    std::map<std::string, std::string> values{};
    bool vit = false;

    AnyPreset preset(std::int64_t images = 48) const {
        const auto& entry = methods::find(method);
        auto options = entry.values(methods::Scale::small, vit);
        std::map<std::string, std::string> all{{"epochs", "2"},   {"batch-size", "16"}, {"size", "32"},      {"hidden", "64"},
                                               {"out-dim", "32"}, {"predictor", "32"},  {"bottleneck", "16"}, {"prototypes", "32"},
                                               {"w-size", "0"}};
        if (method == "wmse") all["out-dim"] = "8";
        if (method != "swav") all["queue"] = "40";
        if (method.starts_with("mmcr")) all["lr"] = "0.005";  // what a device computes in another way grows with the learning rate
        for (const auto& [option, value] : values) all[option] = value;
        for (const auto& row : options.rows)
            if (const auto found = all.find(row.name); found != all.end()) require(row.set(found->second), name, ": --", row.name, " ", found->second);
        const auto encoder = vit ? encoders::from_name("vit_ti8d2", 32)
                                 : encoders::ByName(encoders::ResNet{.depth = 18, .stem = Stem::strided, .width = 0.125});
        return entry.preset(encoder, options, {.images = images});
    }
};

inline std::vector<Subject> subjects() {
    std::vector<Subject> all;
    for (const auto& entry : methods::all()) all.push_back({entry.about.name, entry.about.name, {}, entry.about.arch.starts_with("vit")});
    all.insert(all.end(), {{"moco_v2, 8 groups", "moco_v2", {{"bn-groups", "8"}}},
                           {"moco_v3, ViT", "moco_v3", {}, true},
                           {"swav, queue", "swav", {{"queue", "32"}, {"queue-from", "0"}}},
                           {"dino, ResNet", "dino", {}},
                           {"mmcr, lambda and LARS", "mmcr", {{"lambda", "0.1"}, {"optimizer", "lars"}}},
                           {"lejepa, ViT", "lejepa", {}, true}});
    return all;
}

inline train::TrainOptions options_of_subjects(const std::string& device, const std::string& precision, int workers = 0) {
    return {.seed = 3, .device = device, .precision = precision, .workers = workers, .log_every = 1000, .progress = train::ProgressMode::off};
}

/// The library's own kernels, which a GPU has by NVRTC, as C++ on the simulated device.
class SimulatedKernels : public KernelsOnCpu {
public:
    SimulatedKernels() : KernelsOnCpu(at::kCUDA) {}
    void launch(const device::KernelName& kernel, device::Grid grid, void** arguments, at::Device) override {
        simulated::launch(kernel.name, bound(kernel, grid, arguments));
    }
};

/// What a step asks of the device when nothing is logged: the third, and the fifth, whose passes are a graph where the method
/// allows it.
struct Counts {
    std::int64_t launches = 0, captured = 0, waits = 0, pageable = 0, bytes = 0;
    std::map<std::string, int> against_capture{};  ///< what a graph of the whole second step would do wrong as the third
    std::string waits_text{}, pageable_text{}, races{}, warnings{};
};
inline Counts counts_of(const Subject& subject) {
    static const data::Dataset images = data::Embedded({.size = 32, .count = 96});  // six steps an epoch
    const simulated::Use use({.details = true});
    SimulatedKernels kernels;
    const device::UseBackend backend(kernels);
    const simulated::UseGraphs graphs;
    train::Trainer trainer(subject.preset(images.size()), images, options_of_subjects("cuda", "bf16", 1));
    Counts counts;
    simulated::Trace before;
    for (int i = 1; i <= 5; ++i) {
        simulated::take();
        trainer.step();
        const auto step = simulated::take();
        using simulated::What;
        counts.races += step.text(What::race);
        if (i == 2) before = step;
        if (i == 3) {
            counts.launches = step.count(What::launch);
            counts.against_capture = simulated::against_capture(before, step);
        }
        if (i != 3 && i != 5) continue;
        counts.captured = step.count(What::launch);
        counts.waits = std::max(counts.waits, step.count(What::wait));
        counts.pageable = std::max(counts.pageable, step.count(What::pageable));
        counts.bytes = std::max(counts.bytes, step.bytes_sent());
        counts.waits_text += step.text(What::wait);
        counts.pageable_text += step.text(What::pageable);
    }
    trainer.settle();
    require(trainer.skipped() == 0, subject.name, ": a step was skipped");
    for (const auto& warning : trainer.warnings()) counts.warnings += warning + "\n";
    return counts;
}

}  // namespace doppel::test
