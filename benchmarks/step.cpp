// SPDX-License-Identifier: Apache-2.0
// What self-supervision costs: a whole SimCLR step (loader, forward, loss, backward, optimizer, commit) against the
// bare forward and backward pass of the same views through the same encoder. Interleaved, median of the repeats.
//
//     step [REPEATS [BATCH]]      default 20 repeats, batch 128
#include <doppel/doppel.hpp>
#include <doppel/methods/simclr.hpp>

#include <torch/version.h>

#include <ATen/Parallel.h>
#include <ATen/Version.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

using namespace doppel;

namespace {

double median(std::vector<double> values) {
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
}

template <class Action>
double seconds(Action&& action) {
    const auto began = std::chrono::steady_clock::now();
    action();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

}  // namespace

int main(int argc, char** argv) {
    const int repeats = argc > 1 ? std::atoi(argv[1]) : 20, batch_size = argc > 2 ? std::atoi(argv[2]) : 128;
    if (repeats < 1 || batch_size < 2) {
        std::fprintf(stderr, "step: repeats must be at least 1 and the batch at least 2, got %d and %d\n", repeats, batch_size);
        return 2;
    }
    auto options = methods::simclr_small;
    options.train.batch_size = batch_size;
    const auto preset = methods::simclr(encoders::ResNet{.depth = 18, .stem = Stem::cifar, .width = 0.25}, options);
    Method method{preset.recipe, {.seed = 1}};
    train::channels_last(*method);
    auto optimizer = preset.optimizer.build(AnyMethod(method).trainable());
    const data::Loader loader(data::Embedded({.size = 32, .count = 4000}), preset.views.pipelines, {.batch_size = batch_size, .workers = 1});
    method->begin({.samples = 4000, .steps = 1000});
    auto pass = loader.pass(0, 1 << 20);
    const Batch fixed = train::to_device(*pass->next(), at::kCPU);
    const auto whole = [&] {
        method->forward(train::to_device(*pass->next(), at::kCPU)).backward();
        optimizer.step(0.01);
        optimizer.zero_grad();
        method->commit();
    };
    const auto bare = [&] {
        method->encoder()->forward(at::cat(fixed.views)).sum().backward();
        method->zero_grad();
    };
    std::vector<double> steps, passes;
    for (int i = -3; i < repeats; ++i) {  // the first ones warm up
        const double a = seconds(whole), b = seconds(bare);
        if (i >= 0) steps.push_back(a), passes.push_back(b);
    }
    std::fprintf(stderr, "torch %s, %d threads, %s\n", TORCH_VERSION, at::get_num_threads(), at::get_cpu_capability().c_str());
    std::printf("{\"name\": \"simclr_step\", \"value\": %.6f, \"unit\": \"s\", \"baseline\": \"bare forward and backward\", \"baseline_value\": %.6f, \"ratio\": %.4f}\n",
                median(steps), median(passes), median(steps) / median(passes));
}
