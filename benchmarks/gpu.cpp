// SPDX-License-Identifier: Apache-2.0
// Every shipped method on a GPU: is the training that of the CPU, does the step wait, how long does it take as launches one by
// one and as a captured graph, and what memory does it need. One JSON object a line and method.
//
//     gpu [--batch N] [--large] [METHOD…]     default: all methods, ResNet-18 at 32 px, batch 256
//
// `--large`: ResNet-50 at 224 px. Steps are timed with the batches of a real loader, and over the whole run the device is asked
// for its time once, at the end. Without a GPU it says so and does nothing.
#include <doppel/core/device.hpp>
#include <doppel/data/embedded.hpp>
#include <doppel/encoders/by_name.hpp>
#include <doppel/methods/registry.hpp>
#include <doppel/train/trainer.hpp>

#include <ATen/Parallel.h>
#include <torch/version.h>

#if __has_include(<c10/cuda/CUDAFunctions.h>) && __has_include(<cuda_runtime_api.h>) && __has_include(<crt/host_config.h>)
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#define DOPPEL_CUDA_HEADERS 1
#endif

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

using namespace doppel;

namespace {

/// The driver's own alarm for waits of the host, where CUDA's headers were there to compile it in.
void forbid_waits([[maybe_unused]] bool on) {
#ifdef DOPPEL_CUDA_HEADERS
    c10::cuda::warning_state().set_sync_debug_mode(on ? c10::cuda::SyncDebugMode::L_ERROR : c10::cuda::SyncDebugMode::L_DISABLED);
#endif
}

double peak_megabytes([[maybe_unused]] bool reset) {
#ifdef DOPPEL_CUDA_HEADERS
    if (reset) c10::cuda::CUDACachingAllocator::resetPeakStats(0);
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(0);
    return static_cast<double>(stats.reserved_bytes[0].peak) / 1e6;
#else
    return -1;
#endif
}

struct Setting {
    bool large = false;
    std::int64_t batch = 256;
};

AnyPreset preset_of(const methods::MethodEntry& entry, const Setting& setting, std::int64_t images, std::int64_t batch, bool tiny) {
    const bool transformer = entry.about.arch.starts_with("vit");
    auto values = entry.values(setting.large ? methods::Scale::imagenet : methods::Scale::small, transformer);
    const int size = setting.large ? 224 : 32;
    for (const auto& row : values.rows) {
        if (row.name == "epochs") row.set("100");
        if (row.name == "batch-size") row.set(std::to_string(batch));
        if (row.name == "size") row.set(std::to_string(size));
        if (row.name == "queue" && tiny) row.set("64");
    }
    const std::string arch = transformer ? (setting.large ? "vit_s16" : "vit_ti8d4")
                             : tiny      ? "resnet18x0.25"
                                         : (setting.large ? "resnet50" : "resnet18");
    return entry.preset(encoders::from_name(arch, size), values, {.images = images});
}

train::TrainOptions options_for(const std::string& device, const std::string& precision, bool capture, int workers) {
    train::TrainOptions options{.seed = 1, .device = device, .precision = precision, .workers = workers};
    options.capture = capture;
    options.log_every = 1'000'000;
    options.progress = train::ProgressMode::off;
    return options;
}

struct Timed {
    double seconds = 0, waited = 0, megabytes = 0;
    std::int64_t captured = 0;
    std::string waits = "none", problem;
};

/// Steps after the first ones, without a wait of the host between them.
Timed timed(const AnyPreset& preset, const data::Dataset& images, bool capture, int workers, int steps) {
    Timed result;
    peak_megabytes(true);
    train::Trainer trainer(preset, images, options_for("cuda", "bf16", capture, workers));
    for (int i = 0; i < 8; ++i) trainer.step();
    trainer.settle();
    const double waited = trainer.data_wait() * trainer.seconds();
    const auto began = std::chrono::steady_clock::now();
    forbid_waits(true);
    try {
        for (int i = 0; i < steps; ++i) trainer.step();
    } catch (const std::exception& error) {
        result.waits = error.what();
        result.waits = result.waits.substr(0, result.waits.find('\n'));
    }
    forbid_waits(false);
    trainer.settle();
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count() / steps;
    result.waited = (trainer.data_wait() * trainer.seconds() - waited) / steps;
    result.megabytes = peak_megabytes(false);
    for (const auto& warning : trainer.warnings())
        if (warning.find("captured") != std::string::npos) result.problem = warning;
    return result;
}

/// The largest difference of losses of five float32 steps from those of the CPU, and of the weights after them.
std::pair<double, double> apart(const methods::MethodEntry& entry, const data::Dataset& images) {
    const auto preset = preset_of(entry, {}, images.size(), 32, true);
    train::Trainer there(preset, images, options_for("cuda", "fp32", true, 2)), here(preset, images, options_for("cpu", "fp32", false, 2));
    double losses = 0, weights = 0;
    for (int i = 0; i < 6; ++i) {
        const double a = there.step().loss.item<double>(), b = here.step().loss.item<double>();
        losses = std::max(losses, std::abs(a - b) / std::max(1.0, std::abs(b)));
    }
    const auto a = there.snapshot().tensors, b = here.snapshot().tensors;
    for (const auto& [name, tensor] : b)
        if (name.find("encoder") != std::string::npos && tensor.is_floating_point() && tensor.numel() > 0) {
            const Tensor x = tensor.to(at::kDouble), y = a.at(name).cpu().to(at::kDouble);
            weights = std::max(weights, ((x - y).norm() / x.norm().clamp_min(1e-3)).item<double>());
        }
    return {losses, weights};
}

}  // namespace

int main(int argc, char** argv) {
    Setting setting;
    std::vector<std::string> wanted;
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        if (argument == "--large") setting.large = true;
        else if (argument == "--batch" && i + 1 < argc) setting.batch = std::atoll(argv[++i]);
        else wanted.push_back(argument);
    }
    if (device_from("auto").is_cpu()) {
        std::fprintf(stderr, "gpu: no CUDA device is usable here; nothing is measured\n");
        return 0;
    }
    const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    at::set_num_threads(2);
    const data::Dataset images = data::Embedded({.size = setting.large ? 256 : 32, .count = setting.large ? 1024 : 4096});
    std::fprintf(stderr, "torch %s, %d cores, %s\n", TORCH_VERSION, cores, setting.large ? "224 px" : "32 px");
    int failed = 0;
    for (const auto& entry : methods::all()) {
        if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), entry.about.name) == wanted.end()) continue;
        try {
            const auto gap = setting.large ? std::pair{-1.0, -1.0} : apart(entry, images);
            const auto preset = preset_of(entry, setting, images.size(), setting.batch, false);
            const int steps = setting.large ? 16 : 40;
            const auto eager = timed(preset, images, false, cores - 1, steps), graph = timed(preset, images, true, cores - 1, steps);
            std::printf("{\"name\": \"%s\", \"batch\": %lld, \"ms\": %.3f, \"eager_ms\": %.3f, \"data_wait_ms\": %.3f, "
                        "\"images_per_second\": %.0f, \"peak_mb\": %.0f, \"eager_peak_mb\": %.0f, \"loss_apart\": %.3g, "
                        "\"weights_apart\": %.3g, \"waits\": \"%s\", \"not_captured\": \"%s\"}\n",
                        entry.about.name.c_str(), static_cast<long long>(setting.batch), graph.seconds * 1e3, eager.seconds * 1e3,
                        graph.waited * 1e3, static_cast<double>(setting.batch) / graph.seconds, graph.megabytes, eager.megabytes,
                        gap.first, gap.second, (eager.waits == "none" ? graph.waits : eager.waits).c_str(), graph.problem.c_str());
        } catch (const std::exception& error) {
            ++failed;
            std::string text = error.what();
            std::printf("{\"name\": \"%s\", \"error\": \"%s\"}\n", entry.about.name.c_str(), text.substr(0, text.find('\n')).c_str());
        }
        std::fflush(stdout);
    }
    return failed > 0;
}
