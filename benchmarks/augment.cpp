// SPDX-License-Identifier: Apache-2.0
// Views a second of --augment device beside those of the CPU's engine, both in this process.
//
//     augment [--device cuda|cpu] [--seconds S] [--batch B]    one JSON object a line
//
// A row has the device's views a second (its images resident, or crops that are in memory already), the engine's on one
// thread as baseline, and what the loader threads still do for the device: draws a second on one thread.
#include <doppel/batched/augmenter.hpp>
#include <doppel/core/device.hpp>
#include <doppel/data/embedded.hpp>
#include <doppel/data/loader.hpp>
#include <doppel/data/memory.hpp>
#include <doppel/device/kernel.hpp>
#include <doppel/views/multi_crop.hpp>
#include <doppel/views/simclr.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

using namespace doppel;

namespace {

double since(std::chrono::steady_clock::time_point began) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

/// Calls a second of an action, after some that do not count. `wait` ends what it left running.
double per_second(double seconds, const std::function<void()>& action, const std::function<void()>& wait = [] {}) {
    for (int i = 0; i < 2; ++i) action();
    wait();
    const auto began = std::chrono::steady_clock::now();
    int calls = 0;
    do {
        for (int i = 0; i < 3; ++i) action();
        calls += 3;
        wait();
    } while (since(began) < seconds);
    return calls / since(began);
}

struct Row {
    const char* name;
    std::vector<augment::Pipeline> views;
    data::Dataset images;
    std::int64_t batch, resident_mb;
};

void print(const Row& row, at::Device device, double seconds) {
    batched::Augmenter augmenter(row.images, row.views, device, row.resident_mb, nullptr);
    data::LoaderOptions options{.batch_size = row.batch, .seed = 1, .workers = 0, .pinned = device.is_cuda()};
    augmenter.set(options);
    const data::Loader loader(row.images, row.views, options), engine(row.images, row.views, {.batch_size = row.batch, .seed = 1, .workers = 0});
    const double views = static_cast<double>(row.batch) * static_cast<double>(row.views.size());
    const Batch batch = loader.pass(0, 1)->next().value();
    Batch made;
    const auto wait = [&] { made.views[0].select(0, 0).cpu(); };
    const bool kernels = static_cast<bool>(device::kernels_usable(device));
    const double on_device = views * per_second(seconds, [&] { made = augmenter(batch); }, wait);
    ::setenv("DOPPEL_KERNELS", "0", 1);
    const double by_tensors = kernels ? views * per_second(seconds, [&] { made = augmenter(batch); }, wait) : on_device;
    const Batch other = augmenter(batch);
    ::unsetenv("DOPPEL_KERNELS");
    auto drawn = loader.pass(0, std::int64_t{1} << 40), whole = engine.pass(0, std::int64_t{1} << 40);
    const double on_cpu = views * per_second(seconds, [&] { whole->next(); });
    const double loaded = views * per_second(seconds, [&] { drawn->next(); });
    const double both = views * per_second(seconds, [&] { made = augmenter(drawn->next().value()); }, wait);
    const Batch wanted = engine.pass(0, 1)->next().value(), got = augmenter(batch);
    std::int64_t levels = 0, differ = 0, tensors_differ = 0, values = 0;
    for (std::size_t v = 0; v < wanted.views.size(); ++v) {
        const auto apart = [&](const Batch& from) {
            const Tensor difference = (wanted.views[v].to(at::kInt) - from.views[v].cpu().to(at::kInt)).abs();
            levels = std::max(levels, difference.max().to(at::kLong).item<std::int64_t>());
            return difference.ne(0).sum().item<std::int64_t>();
        };
        differ += apart(got);
        tensors_differ += apart(other);
        values += wanted.views[v].numel();
    }
    std::printf("%s\n", nlohmann::ordered_json{{"name", row.name},
                                               {"value", on_device},
                                               {"unit", "views/s"},
                                               {"baseline", "engine, one thread"},
                                               {"baseline_value", on_cpu},
                                               {"ratio", on_device / on_cpu},
                                               {"kernels", kernels},
                                               {"by_tensor_operations", by_tensors},
                                               {"loader_views_per_second_per_thread", loaded},
                                               {"one_thread_and_device", both},
                                               {"ms_per_batch", views / on_device * 1e3},
                                               {"views_per_batch", views},
                                               {"device", device.str()},
                                               {"augmenter", augmenter.text()},
                                               {"largest_difference_in_levels", levels},
                                               {"values_that_differ", differ},
                                               {"values_that_differ_by_tensor_operations", tensors_differ},
                                               {"values", values}}
                          .dump()
                          .c_str());
    std::fflush(stdout);
}

int run(const std::vector<std::string>& words) {
    std::string device = "auto";
    double seconds = 1;
    std::int64_t batch = 0;
    for (std::size_t i = 0; i < words.size(); i += 2) {
        require(i + 1 < words.size(), "augment: ", words[i], " needs a value");
        if (words[i] == "--device") device = words[i + 1];
        else if (words[i] == "--seconds") seconds = std::stod(words[i + 1]);
        else if (words[i] == "--batch") batch = std::stoll(words[i + 1]);
        else fail("augment: unknown option ", words[i], "; there are --device, --seconds and --batch");
    }
    const at::Device on = device_from(device);
    const auto size_of_batch = [&](std::int64_t usual) { return batch > 0 ? batch : on.is_cuda() ? usual : usual / 16; };
    const auto scenes = [](int size, std::int64_t count) { return data::Dataset(data::in_memory(data::Embedded({.size = size, .count = count}))); };
    const auto small = scenes(32, 2048), middle = scenes(96, 512), large = scenes(256, 128);
    const std::vector<Row> rows{
        {"simclr 32, resident", views::simclr_small().pipelines, small, size_of_batch(512), 4096},
        {"simclr 96, resident", views::simclr({.size = 96}).pipelines, middle, size_of_batch(256), 4096},
        {"simclr 224, resident", views::simclr({.size = 224}).pipelines, large, size_of_batch(128), 4096},
        {"simclr 224, crops", views::simclr({.size = 224}).pipelines, large, size_of_batch(128), 0},
        {"simclr 224, Pillow's blur, crops", views::simclr({.size = 224, .blur_kind = image::Blur::boxes}).pipelines, large, size_of_batch(128), 0},
        {"multi-crop 2x224 + 6x96, crops", views::multi_crop({.spec = views::simclr_spec()}).pipelines, large, size_of_batch(64), 0}};
    for (const Row& row : rows) print(row, on, seconds);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run({argv + 1, argv + argc});
    } catch (const std::exception& problem) {
        std::fprintf(stderr, "%s\n", problem.what());
        return 2;
    }
}
