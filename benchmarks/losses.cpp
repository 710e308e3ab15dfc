// SPDX-License-Identifier: Apache-2.0
// Losses beside what they are made of: NT-Xent by tiles against bare matrix products and against one matrix, MMCR against
// torch's singular values, a target network's update against a copy. Both sides in turns in one process, the median of the
// repeats; NT-Xent's memory as well.
//
//     losses [REPEATS [IMAGES [SIDE]]]      default 5 repeats; NT-Xent of 32768 images in tiles of the default side
#include <doppel/losses/mmcr.hpp>
#include <doppel/losses/nt_xent.hpp>
#include <doppel/targets/ema.hpp>

#include "../tests/support/peak_memory.hpp"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_svdvals.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <torch/version.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

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

/// The medians of both, which run in turns after a first time.
template <class A, class B>
std::pair<double, double> in_turns(int repeats, A&& a, B&& b) {
    std::vector<double> first, second;
    for (int i = -1; i < repeats; ++i) {
        const double x = seconds(a), y = seconds(b);
        if (i >= 0) first.push_back(x), second.push_back(y);
    }
    return {median(first), median(second)};
}

void row(const char* name, double value, const char* unit, const char* baseline, double other) {
    std::printf("{\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", \"baseline\": \"%s\", \"baseline_value\": %.6g, \"ratio\": %.4f}\n",
                name, value, unit, baseline, other, value / other);
    std::fflush(stdout);
}

Tensor leaf(at::IntArrayRef shape) { return at::randn(shape).requires_grad_(); }

constexpr std::int64_t width = 128;

void nt_xent_and_products(int repeats, std::int64_t images, std::int64_t side) {
    Tensor a = leaf({images, width}), b = leaf({images, width});
    const losses::NtXent loss{.temperature = 0.2, .tiles = {.above = 0, .side = side}};
    std::int64_t peak = 0;
    const auto step = [&] {
        a.mutable_grad() = b.mutable_grad() = Tensor();
        peak = test::peak_memory([&] { loss(a, b).backward(); });
        peak -= static_cast<std::int64_t>(a.grad().nbytes() + b.grad().nbytes());
    };
    const Tensor rows = at::randn({4096, width}), columns = at::randn({width, 4096});
    Tensor product = at::empty({4096, 4096});
    const auto bare = [&] {
        for (int i = 0; i < 20; ++i) at::mm_out(product, rows, columns);
    };
    const auto [time, products] = in_turns(repeats, step, bare);
    const double count = 2.0 * static_cast<double>(images);
    const double flops = 4 * count * count * width;  // half of a symmetric matrix: forward, again, and a gradient of each side
    row("nt_xent_rate", flops / time / 1e9, "GFLOP/s", "bare matrix products", 20 * 2.0 * 4096 * 4096 * width / products / 1e9);
    row("nt_xent_extra_memory", static_cast<double>(peak) / 1024 / 1024, "MiB", "the embeddings",
        static_cast<double>(a.nbytes() + b.nbytes()) / 1024 / 1024);
}

void nt_xent_and_matrix(int repeats, std::int64_t images) {
    Tensor a = leaf({images, width}), b = leaf({images, width});
    const auto step = [&](const losses::Tiles& tiles) {
        return [&, tiles] {
            a.mutable_grad() = b.mutable_grad() = Tensor();
            losses::NtXent{.temperature = 0.2, .tiles = tiles}(a, b).backward();
        };
    };
    const auto [tiles, matrix] = in_turns(repeats, step({.above = 0}), step(losses::no_tiles));
    char name[64];
    std::snprintf(name, sizeof name, "nt_xent_by_tiles_%ld", static_cast<long>(images));
    row(name, tiles, "s", "one matrix", matrix);
}

void mmcr(int repeats) {
    Tensor a = leaf({1024, 512}), b = leaf({1024, 512});
    Outputs out;
    out.online = {a, b};
    const auto step = [&] {
        a.mutable_grad() = b.mutable_grad() = Tensor();
        losses::Mmcr{}(out).backward();
    };
    const Tensor x = at::randn({1024, 512});
    const auto [time, values] = in_turns(repeats, step, [&] { at::linalg_svdvals(x); });
    row("mmcr_1024x512", time, "s", "torch's singular values without gradient", values);
    Tensor y = leaf({1024, 512});
    const auto [again, trained] = in_turns(repeats, step, [&] {
        y.mutable_grad() = Tensor();
        at::linalg_svdvals(y).sum().backward();
    });
    row("mmcr_1024x512", again, "s", "torch's singular values, forward and backward", trained);
}

void ema(int repeats) {
    std::vector<Tensor> target, online, from, to;
    for (int i = 0; i < 32; ++i) {  // 33 million parameters
        for (auto* list : {&target, &online, &from, &to}) list->push_back(at::randn({1024, 1024}));
    }
    const targets::Ema policy{.schedule = 0.99};
    const auto [update, copy] = in_turns(
        repeats, [&] { policy.update(target, online, {}); }, [&] { at::_foreach_copy_(to, from); });
    const double bytes = 32.0 * 1024 * 1024 * 4;
    row("ema_bandwidth", 3 * bytes / update / 1e9, "GB/s", "a copy", 2 * bytes / copy / 1e9);
}

}  // namespace

int main(int argc, char** argv) {
    const int repeats = argc > 1 ? std::atoi(argv[1]) : 5;
    const std::int64_t images = argc > 2 ? std::atoll(argv[2]) : 32768, side = argc > 3 ? std::atoll(argv[3]) : 0;
    if (repeats < 1 || images < 2 || side < 0) {
        std::fprintf(stderr, "losses: repeats must be at least 1, images 2 and side 0, got %d, %ld and %ld\n", repeats,
                     static_cast<long>(images), static_cast<long>(side));
        return 2;
    }
    std::fprintf(stderr, "torch %s, %d threads, %s\n", TORCH_VERSION, at::get_num_threads(), at::get_cpu_capability().c_str());
    at::manual_seed(1);
    for (const std::int64_t few : {128, 256, 512, 1024, 4096}) nt_xent_and_matrix(3 * repeats, few);
    nt_xent_and_products(repeats, images, side);
    mmcr(10 * repeats);
    ema(10 * repeats);
}
