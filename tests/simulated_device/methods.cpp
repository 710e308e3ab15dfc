// SPDX-License-Identifier: Apache-2.0
// Every method trains on the simulated device as on the CPU, bit for bit: on the second device while the first is current,
// with memory that code outside kernels cannot touch, with captured passes, without a race, and resumed from a checkpoint
// without them.
#include <doppel/io/safetensors.hpp>
#include <doppel/train/trainer.hpp>

#include <ATen/Context.h>

#include "simulated_device/subjects.hpp"

#include <cmath>

using namespace doppel;
using namespace doppel::test;
using simulated::What;

namespace {

struct Run {
    std::vector<double> losses;
    io::TensorFile state;
};

/// Takes the steps from the trainer's current one to the end.
Run finish(train::Trainer& trainer) {
    Run run;
    while (!trainer.finished()) {
        const auto report = trainer.step();
        CHECK(report.taken);
        run.losses.push_back(report.loss.item<double>());
    }
    run.state = trainer.snapshot();
    for (auto& [name, value] : run.state.tensors) value = value.cpu();
    return run;
}

/// States differ in torch's generators alone, of which the device has one more.
void check_equal(const io::TensorFile& cpu, const io::TensorFile& device, double tolerance) {
    for (const auto& [name, value] : cpu.tensors) {
        if (name.starts_with("generator.")) continue;
        INFO(name);
        REQUIRE(device.tensors.contains(name));
        const Tensor& there = device.tensors.at(name);
        // By length, and not Adam's moments: it makes a step of full size of a gradient that is nearly 0, whatever its sign.
        if (tolerance > 0 && name.starts_with("optimizer.")) continue;
        const bool equal = tolerance == 0 || !value.is_floating_point()
                               ? at::equal(value, there)
                               : ((value - there).norm() <= 10 * tolerance * value.norm() + 1e-5).item<bool>();
        CHECK(equal);
    }
    CHECK(device.tensors.size() == cpu.tensors.size() + 1);
}

}  // namespace

TEST_CASE("every method trains as on the CPU and resumes, on a device that is not the current one") {
    simulated::install();
    at::globalContext().setSDPUseFlash(false);  // attention by the same operators on both
    TemporaryFolder folder;
    for (const auto& subject : subjects()) {
        INFO(subject.name);
        const auto preset = subject.preset();
        train::Trainer reference(preset, images_of_subjects(), options_of_subjects("cpu", "fp32"));
        const Run cpu = finish(reference);
        REQUIRE(cpu.losses.size() == steps_of_subjects);
        for (const double loss : cpu.losses) CHECK(std::isfinite(loss));

        simulated::take();
        Run device;
        const auto path = folder / "checkpoint.safetensors";
        {
            const simulated::Use use({.closed_to_host = true});
            const simulated::UseGraphs graphs;  // from the fourth step on, where the method allows it
            train::Trainer trainer(preset, images_of_subjects(), options_of_subjects("cuda:1", "fp32"));
            for (int step = 0; step < 3; ++step) device.losses.push_back(trainer.step().loss.item<double>());
            io::save_safetensors(path, trainer.snapshot(), io::Checksum::crc32);
            const Run rest = finish(trainer);
            device.losses.insert(device.losses.end(), rest.losses.begin(), rest.losses.end());
            device.state = rest.state;
        }
        CHECK(simulated::take().text(What::race) == "");
        // MMCR's polar factor comes from matrix products on a device, from a decomposition on the CPU.
        const double tolerance = subject.method.starts_with("mmcr") ? 1e-3 : 0;
        for (std::size_t i = 0; i < cpu.losses.size(); ++i) CHECK(std::abs(device.losses[i] - cpu.losses[i]) <= tolerance * std::abs(cpu.losses[i]));
        check_equal(cpu.state, device.state, tolerance);

        train::Trainer resumed(preset, images_of_subjects(), options_of_subjects("cuda:1", "fp32"));
        resumed.restore(path);
        const Run second = finish(resumed);
        CHECK(second.losses == std::vector(device.losses.begin() + 3, device.losses.end()));
        for (const auto& [name, value] : device.state.tensors) {
            INFO(name);
            CHECK(at::equal(value, second.state.tensors.at(name)));
        }
    }
    at::globalContext().setSDPUseFlash(true);
}
