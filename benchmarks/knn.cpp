// SPDX-License-Identifier: Apache-2.0
// Exact nearest neighbors beside the bare matrix product of the same rows, in turns in one process, medians of the repeats;
// and the memory that the search takes. `./run bench knn` runs this program beside FAISS.
//
//     knn [REPEATS [QUERIES BANK WIDTH]]           default 5 repeats; 10000 queries, 50000 rows of 512 features
//     knn --write FOLDER [QUERIES BANK WIDTH]      the rows and the 20 neighbors found, for other implementations
#include <doppel/eval/knn.hpp>

#include "../tests/support/peak_memory.hpp"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <torch/version.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace doppel;

namespace {

double median(std::vector<double> values) {
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
}

double seconds(const std::function<void()>& action) {
    const auto began = std::chrono::steady_clock::now();
    action();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

void row(const char* name, double value, const char* unit, const char* baseline, double other) {
    std::printf("{\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", \"baseline\": \"%s\", \"baseline_value\": %.6g, \"ratio\": %.4f}\n",
                name, value, unit, baseline, other, value / other);
    std::fflush(stdout);
}

/// Times all actions in turns, beside the first.
void in_turns(int repeats, const char* baseline, const std::function<void()>& bare,
              const std::vector<std::pair<const char*, std::function<void()>>>& actions) {
    std::vector<double> bare_times;
    std::vector<std::vector<double>> times(actions.size());
    bare();
    for (int i = 0; i < repeats; ++i) {
        bare_times.push_back(seconds(bare));
        for (std::size_t a = 0; a < actions.size(); ++a) times[a].push_back(seconds(actions[a].second));
    }
    for (std::size_t a = 0; a < actions.size(); ++a) row(actions[a].first, median(times[a]), "s", baseline, median(bare_times));
}

void write(const std::string& file, const Tensor& values) {
    std::ofstream out(file, std::ios::binary);
    out.write(static_cast<const char*>(values.const_data_ptr()), static_cast<std::streamsize>(values.nbytes()));
    if (!out.flush()) {
        std::fprintf(stderr, "knn: %s cannot be written\n", file.c_str());
        std::exit(1);
    }
}

}  // namespace

int main(int argc, char** argv) {
    const bool writes = argc > 2 && std::string_view(argv[1]) == "--write";
    const int first = writes ? 3 : 2;
    const int repeats = writes || argc < 2 ? 5 : std::atoi(argv[1]);
    const auto size = [&](int i, std::int64_t usual) { return argc > first + i ? std::atoll(argv[first + i]) : usual; };
    const std::int64_t queries = size(0, 10000), rows = size(1, 50000), width = size(2, 512);
    if (repeats < 1 || queries < 1 || rows < 200 || width < 1) {
        std::fprintf(stderr, "knn: repeats, queries and width must be at least 1 and the bank 200 rows, got %d, %ld, %ld and %ld\n",
                     repeats, static_cast<long>(queries), static_cast<long>(width), static_cast<long>(rows));
        return 2;
    }
    at::manual_seed(1);
    const at::NoGradGuard no_grad;
    const auto unit = [](const Tensor& x) { return x / x.norm(2, 1, true); };
    const Tensor q = unit(at::randn({queries, width})), bank = unit(at::randn({rows, width}));
    if (writes) {
        const std::string folder = argv[2];
        const auto found = eval::nearest(q, bank);
        write(folder + "/queries", q);
        write(folder + "/bank", bank);
        write(folder + "/found", found.indices.contiguous());
        write(folder + "/cosines", found.similarities.contiguous());
        return 0;
    }
    std::fprintf(stderr, "torch %s, %d threads, %s\n", TORCH_VERSION, at::get_num_threads(), at::get_cpu_capability().c_str());
    // The bare product: portions of the queries, into the same memory.
    constexpr std::int64_t portion = 1024;
    Tensor product = at::empty({std::min(portion, queries), rows});
    const auto bare = [&] {
        for (std::int64_t from = 0; from < queries; from += portion) {
            Tensor part = product.narrow(0, 0, std::min(portion, queries - from));
            at::mm_out(part, q.narrow(0, from, part.size(0)), bank.t());
        }
    };
    const Tensor bank_labels = at::randint(0, 10, {rows}, at::kLong), labels = at::randint(0, 10, {queries}, at::kLong);
    in_turns(repeats, "bare matrix product", bare,
             {{"nearest_20", [&] { eval::nearest(q, bank); }},
              {"nearest_200", [&] { eval::nearest(q, bank, {.k = 200}); }},
              {"nearest_20_l2", [&] { eval::nearest(q, bank, {.metric = eval::Metric::l2}); }},
              {"knn_20", [&] { eval::knn(q, bank, bank_labels, labels, 10); }},
              {"knn_sweep_42_rows", [&] { eval::knn_sweep(q, bank, bank_labels, labels, 10); }}});
    const auto peak = [&](std::int64_t k, eval::Metric metric) {
        return static_cast<double>(test::peak_memory([&] { eval::nearest(q, bank, {.k = k, .metric = metric}); })) / 1024 / 1024;
    };
    const double all = static_cast<double>(queries * rows) * 4 / 1024 / 1024;
    row("nearest_20_memory", peak(20, eval::Metric::cosine), "MiB", "all similarities", all);
    row("nearest_200_memory", peak(200, eval::Metric::cosine), "MiB", "all similarities", all);
    row("nearest_20_l2_memory", peak(20, eval::Metric::l2), "MiB", "all similarities", all);
}
