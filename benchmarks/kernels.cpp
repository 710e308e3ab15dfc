// SPDX-License-Identifier: Apache-2.0
// doppel's CUDA kernels on a GPU: each beside ATen's path (equal results, within the stated tolerance), timed by events, and
// held against the bandwidth of a copy on the device in the same run. One JSON object a line; the exit status is 1 if a
// kernel differs. Without a GPU it says so.
//
//   ./run bench kernels [REPEATS]
//
// Parameters are those of a ResNet-50, images 2 · 256 of 224 · 224 pixels.
#include <doppel/core/seed.hpp>
#include <doppel/device/adamw.hpp>
#include <doppel/device/clip.hpp>
#include <doppel/device/ema.hpp>
#include <doppel/device/finite.hpp>
#include <doppel/device/lars.hpp>
#include <doppel/device/normalized.hpp>
#include <doppel/device/row_sums.hpp>
#include <doppel/device/select.hpp>
#include <doppel/optim/clip.hpp>
#include <doppel/optim/lars.hpp>

#include <ATen/Context.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/rand_like.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace {

using namespace doppel;
using List = std::vector<Tensor>;

int repeats = 20;
double copy_rate = 0;  // GB/s
bool all_right = true;

c10::Stream current() { return c10::impl::VirtualGuardImpl(at::kCUDA).getStream(at::Device(at::kCUDA, 0)); }
void wait() { current().synchronize(); }

/// Sets whether kernels are used.
void use_kernels(bool on) { on ? ::unsetenv("DOPPEL_KERNELS") : ::setenv("DOPPEL_KERNELS", "0", 1); }

struct Times {
    double device_ms, host_us;
};

/// The median of five, of `repeats` calls each.
Times time_of(const std::function<void()>& call) {
    for (int i = 0; i < 3; ++i) call();
    wait();
    std::vector<double> device, host;
    for (int k = 0; k < 5; ++k) {
        c10::Event begin(at::kCUDA, c10::EventFlag::BACKEND_DEFAULT), end(at::kCUDA, c10::EventFlag::BACKEND_DEFAULT);
        begin.record(current());
        const auto from = std::chrono::steady_clock::now();
        for (int i = 0; i < repeats; ++i) call();
        host.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - from).count() / repeats);
        end.record(current());
        end.synchronize();
        device.push_back(begin.elapsedTime(end) / repeats);
    }
    std::sort(device.begin(), device.end());
    std::sort(host.begin(), host.end());
    return {device[2], host[2]};
}

/// The largest difference over lists, relative to the larger of 1 and the value; infinite where only one is NaN.
double difference(const List& a, const List& b) {
    double most = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (a[i].numel() == 0) continue;
        const Tensor x = a[i].to(at::kDouble), y = b[i].to(at::kDouble);
        Tensor apart = (x - y).abs() / x.abs().clamp_min(1);
        apart = apart.masked_fill(x.isnan().logical_and(y.isnan()), 0).masked_fill(x.eq(y), 0);
        const double here = apart.max().item<double>();
        most = here > most || here != here ? (here != here ? std::numeric_limits<double>::infinity() : here) : most;
    }
    return most;
}

List copies(const List& list) {
    List all;
    for (const Tensor& tensor : list) all.push_back(tensor.clone());
    return all;
}

/// One line. `bytes`: what the kernel must read and write.
void report(const std::string& name, double bytes, double apart, double allowed, const std::function<void()>& kernel,
            const std::string& plain_name, const std::function<void()>& plain) {
    use_kernels(true);
    const Times own = time_of(kernel);
    use_kernels(false);
    const Times other = time_of(plain);
    use_kernels(true);
    const double rate = bytes / own.device_ms * 1e-6;
    const bool right = apart <= allowed;
    all_right = all_right && right;
    std::printf("{\"name\": \"%s\", \"value\": %.4f, \"unit\": \"ms\", \"baseline\": \"%s\", \"baseline_value\": %.4f, \"ratio\": %.2f, "
                "\"host_us\": %.1f, \"baseline_host_us\": %.1f, \"gb_per_s\": %.0f, \"of_copy\": %.2f, \"largest_difference\": %.2g, "
                "\"allowed\": %.2g, \"right\": %s}\n",
                name.c_str(), own.device_ms, plain_name.c_str(), other.device_ms, other.device_ms / own.device_ms, own.host_us,
                other.host_us, rate, rate / copy_rate, apart, allowed, right ? "true" : "false");
    std::fflush(stdout);
}

/// A statement that holds or not.
void check(const std::string& name, bool holds) {
    all_right = all_right && holds;
    std::printf("{\"name\": \"%s\", \"right\": %s}\n", name.c_str(), holds ? "true" : "false");
    std::fflush(stdout);
}

/// The parameters of a ResNet-50, and of each normalization the statistics.
void resnet50(const at::TensorOptions& options, List& parameters, List& statistics) {
    const auto layer = [&](std::int64_t out, std::int64_t in, std::int64_t side) {
        parameters.push_back(at::randn({out, in, side, side}, options).mul_(0.05));
        parameters.push_back(at::randn({out}, options));
        parameters.push_back(at::randn({out}, options));
        statistics.push_back(at::randn({out}, options));
        statistics.push_back(at::randn({out}, options));
        statistics.push_back(at::full({}, 7, options.dtype(at::kLong)));
    };
    layer(64, 3, 7);
    std::int64_t in = 64;
    const int blocks[] = {3, 4, 6, 3};
    for (int stage = 0; stage < 4; ++stage)
        for (int b = 0; b < blocks[stage]; ++b) {
            const std::int64_t width = std::int64_t{64} << stage;
            layer(width, in, 1);
            layer(width, width, 3);
            layer(4 * width, width, 1);
            if (b == 0) layer(4 * width, in, 1);
            in = 4 * width;
        }
    parameters.push_back(at::randn({1000, 2048}, options).mul_(0.05));
    parameters.push_back(at::randn({1000}, options));
}

double elements(const List& list) {
    double sum = 0;
    for (const Tensor& tensor : list) sum += static_cast<double>(tensor.numel());
    return sum;
}

List like(const List& list, double scale) {
    List all;
    for (const Tensor& tensor : list) all.push_back(at::randn_like(tensor).mul_(scale));
    return all;
}

void check_ema(const List& parameters) {
    List target = like(parameters, 1), plain = copies(target);
    const Tensor m = at::full({}, 0.996, parameters[0].options()), good = at::full({}, 0.0, m.options()), bad = at::full({}, 1.0, m.options());
    device::ema(target, parameters, m, good);
    at::_foreach_lerp_(plain, parameters, 1 - 0.996F);
    const double apart = difference(target, plain);
    device::ema(target, parameters, m, bad);
    check("ema, step not taken", difference(target, plain) == apart);
    report("ema", 12 * elements(parameters), apart, 1e-6, [&] { device::ema(target, parameters, m, good); }, "_foreach_lerp_ by a host number",
           [&] { at::_foreach_lerp_(plain, parameters, 1 - 0.996); });
}

/// A captured launch reads rate and permission when it is replayed.
void check_graph(const List& parameters) {
    void* const runtime = ::dlopen("libcudart.so.13", RTLD_NOW | RTLD_NOLOAD) ? ::dlopen("libcudart.so.13", RTLD_NOW | RTLD_NOLOAD)
                                                                            : ::dlopen("libcudart.so.12", RTLD_NOW | RTLD_NOLOAD);
    if (!runtime) {
        std::puts("{\"name\": \"captured launch\", \"skipped\": \"the CUDA runtime is not loaded by its usual name\"}");
        return;
    }
    const auto begin = reinterpret_cast<int (*)(void*, int)>(::dlsym(runtime, "cudaStreamBeginCapture"));
    const auto end = reinterpret_cast<int (*)(void*, void**)>(::dlsym(runtime, "cudaStreamEndCapture"));
    const auto make = reinterpret_cast<int (*)(void**, void*, unsigned long long)>(::dlsym(runtime, "cudaGraphInstantiate"));
    const auto launch = reinterpret_cast<int (*)(void*, void*)>(::dlsym(runtime, "cudaGraphLaunch"));
    List target = like(parameters, 1), plain = copies(target);
    const Tensor m = at::full({}, 1.0, parameters[0].options()), bad = at::full({}, 0.0, m.options());
    wait();
    const c10::StreamGuard guard(
        c10::impl::VirtualGuardImpl(at::kCUDA).getStreamFromGlobalPool(at::Device(at::kCUDA, 0), /*isHighPriority=*/false));
    void *graph = nullptr, *ready = nullptr;
    bool fine = begin(current().native_handle(), /*thread-local=*/1) == 0;
    device::ema(target, parameters, m, bad);
    fine = fine && end(current().native_handle(), &graph) == 0 && make(&ready, graph, 0) == 0;
    m.fill_(0.25);
    fine = fine && launch(ready, current().native_handle()) == 0;
    bad.fill_(1);
    fine = fine && launch(ready, current().native_handle()) == 0;
    wait();
    at::_foreach_lerp_(plain, parameters, 0.75);
    wait();
    check("captured launch reads rate and permission when replayed", fine && difference(target, plain) <= 1e-6);
}

void check_select(const List& parameters, const List& statistics) {
    const Tensor bad = at::full({}, 1.0, parameters[0].options()), good = at::full({}, 0.0, bad.options());
    List now = copies(statistics);
    for (Tensor& tensor : now) tensor.add_(1);
    const List before = copies(now);
    device::restore_if(good, now, statistics);
    bool right = difference(now, before) == 0;
    device::restore_if(bad, now, statistics);
    right = right && difference(now, statistics) == 0;
    device::commit_unless(bad, now, before);
    right = right && difference(now, statistics) == 0;
    device::commit_unless(good, now, before);
    check("restore_if and commit_unless", right && difference(now, before) == 0);
    double bytes = 0;
    for (const Tensor& tensor : statistics) bytes += 2 * static_cast<double>(tensor.nbytes());
    report("restore_if, statistics", bytes, 0, 0, [&] { device::restore_if(bad, now, statistics); }, "ATen's where",
           [&] { device::restore_if(bad, now, statistics); });
    List weights = like(parameters, 1);
    report("restore_if, parameters", 8 * elements(parameters), 0, 0, [&] { device::restore_if(bad, weights, parameters); },
           "_foreach_copy_", [&] { at::_foreach_copy_(weights, parameters); });
}

void check_finite(const List& gradients) {
    List all = copies(gradients);
    bool right = device::not_finite(all).item<float>() == 0;
    for (const std::size_t i : {std::size_t{0}, all.size() / 2, all.size() - 1})
        for (const double value : {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
            Tensor place = all[i].flatten().slice(0, all[i].numel() - 1);
            const Tensor before = place.clone();
            place.fill_(value);
            right = right && device::not_finite(all).item<float>() == 1;
            place.copy_(before);
        }
    check("not_finite finds one value", right && device::not_finite(all).item<float>() == 0);
    report("not_finite", 4 * elements(all), 0, 0, [&] { device::not_finite(all); }, "_foreach_norm", [&] { device::not_finite(all); });
}

void check_normalized(const at::TensorOptions& options) {
    const Tensor view = at::randint(0, 256, {256, 3, 224, 224}, options.dtype(at::kByte));
    const std::vector<Tensor> views{view, view.flip(0)}, small{view.narrow(0, 0, 8).contiguous(), view.narrow(0, 0, 8).slice(2, 0, 97).slice(3, 0, 97).contiguous()};
    const std::vector<Normalize> by(2);
    const double values = 2 * static_cast<double>(view.numel());
    for (const auto format : {at::MemoryFormat::ChannelsLast, at::MemoryFormat::Contiguous})
        for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf}) {
            const List found = device::normalized(small, by, format, type);
            List cpu, on_cpu;
            for (const Tensor& one : small) cpu.push_back(one.cpu());
            for (const Tensor& one : found) on_cpu.push_back(one.cpu());
            const double apart = difference(on_cpu, device::normalized(cpu, by, format, type));
            const std::string name = std::string("normalized, ") + (format == at::MemoryFormat::ChannelsLast ? "channels-last, " : "contiguous, ") +
                                     (type == at::kFloat ? "float32" : type == at::kHalf ? "float16" : "bfloat16");
            report(name, values * (type == at::kFloat ? 5 : 3), apart, 0, [&] { device::normalized(views, by, format, type); }, "ATen",
                   [&] { device::normalized(views, by, format, type); });
        }
}

void check_lars(const List& parameters, const List& gradients) {
    const at::TensorOptions options = parameters[0].options();
    const Tensor lr = at::full({}, 0.3, options), decay = at::full({}, 1e-4, options), good = at::full({}, 0.0, options);
    double apart = 0;
    for (const int rule : {0, 1, 2, 3}) {
        List w = copies(parameters), v = like(parameters, 0.01), plain_w = copies(w), plain_v = copies(v);
        const device::LarsStep how{.rule = rule, .nesterov = rule == 1};
        device::lars(w, gradients, v, how, lr, decay, good);
        use_kernels(false);
        device::lars(plain_w, gradients, plain_v, how, lr, decay, good);
        use_kernels(true);
        apart = std::max({apart, difference(w, plain_w), difference(v, plain_v)});
        const List before = copies(w);
        device::lars(w, gradients, v, how, lr, decay, at::full({}, 1.0, options));
        check("lars, step not taken, rule " + std::to_string(rule), difference(w, before) == 0);
    }
    List w = copies(parameters), v = like(parameters, 0.01);
    optim::NamedParameters named;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        named.emplace_back("p" + std::to_string(i), parameters[i].clone());
        named.back().second.mutable_grad() = gradients[i];
    }
    auto foreach = optim::Lars{.weight_decay = 1e-4, .adapt_norm_and_bias = true}.build(named);
    report("lars", 28 * elements(parameters), apart, 2e-6, [&] { device::lars(w, gradients, v, {}, lr, decay, good); },
           "optim::Lars by _foreach_", [&] { foreach.step(0.3); });
}

void check_adamw(const List& parameters, const List& gradients) {
    const at::TensorOptions options = parameters[0].options();
    const Tensor lr = at::full({}, 1e-3, options), decay = at::full({}, 0.05, options), good = at::full({}, 0.0, options);
    struct Lists {
        List w, mean, square, steps;
    } a{copies(parameters), like(parameters, 0.01), {}, {}};
    for (const Tensor& w : parameters) {
        a.square.push_back(at::rand_like(w).mul_(0.01));
        a.steps.push_back(at::full({}, 3.0, options));
    }
    Lists b{copies(a.w), copies(a.mean), copies(a.square), copies(a.steps)};
    const auto own = [&] { device::adamw(a.w, gradients, a.mean, a.square, a.steps, {}, lr, decay, good); };
    const auto torch = [&] {
        at::_foreach_add_(b.steps, 1);
        at::_fused_adamw_(b.w, gradients, b.mean, b.square, at::TensorList{}, b.steps, 1e-3, 0.9, 0.999, 0.05, 1e-8, false, false);
    };
    for (int i = 0; i < 3; ++i) own(), torch();
    const double apart = std::max({difference(a.w, b.w), difference(a.mean, b.mean), difference(a.square, b.square), difference(a.steps, b.steps)});
    const List before = copies(a.w);
    device::adamw(a.w, gradients, a.mean, a.square, a.steps, {}, lr, decay, at::full({}, 1.0, options));
    check("adamw, step not taken", difference(a.w, before) == 0 && difference(a.steps, b.steps) == 0);
    report("adamw", 28 * elements(parameters), apart, 2e-6, own, "_fused_adamw_", torch);
}

void check_clip(const List& gradients) {
    List a = copies(gradients), b = copies(gradients);
    const Tensor norms = device::clip_each(a, 0.5);
    use_kernels(false);
    const Tensor plain = device::clip_each(b, 0.5);
    use_kernels(true);
    const double apart = std::max(difference(a, b), difference({norms}, {plain}));
    report("clip_each", 12 * elements(gradients), apart, 2e-6, [&] { device::clip_each(a, 1e-3); }, "_foreach_mul_",
           [&] { device::clip_each(b, 1e-3); });
}

void check_row_sums(const at::TensorOptions& options) {
    const Tensor tile = at::randn({8192, 8192}, options);
    const auto run = [&] {
        device::RowSums sums(tile.size(0), options);
        sums.add(tile, 5, 0);
        return sums.log();
    };
    const Tensor found = run();
    use_kernels(false);
    const double apart = difference({found}, {run()});
    use_kernels(true);
    report("row_sums", 4 * static_cast<double>(tile.numel()), apart, 2e-6, [&] { run(); }, "logsumexp", [&] { at::logsumexp(tile, 1); });
}

int run() {
    if (!at::hasCUDA() || at::detail::getCUDAHooks().deviceCount() == 0) {
        std::puts("{\"name\": \"kernels\", \"skipped\": \"there is no CUDA device here\"}");
        return 0;
    }
    const at::Device device(at::kCUDA, 0);
    const auto from = std::chrono::steady_clock::now();
    const auto& usable = device::kernels_usable(device);
    std::printf("{\"name\": \"kernels usable\", \"value\": %.0f, \"unit\": \"ms to compile and load\", \"right\": %s, \"why_not\": \"%s\"}\n",
                std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - from).count(), usable ? "true" : "false",
                usable.why_not.c_str());
    std::fflush(stdout);
    if (!usable) return 1;
    const at::NoGradGuard no_grad;
    const at::TensorOptions options = at::TensorOptions(device).dtype(at::kFloat);
    const Tensor large = at::randn({64 * 1024 * 1024}, options), other = at::empty_like(large);
    const Times copy = time_of([&] { other.copy_(large, true); });
    copy_rate = 8 * static_cast<double>(large.numel()) / copy.device_ms * 1e-6;
    std::printf("{\"name\": \"copy of 256 MiB on the device\", \"value\": %.4f, \"unit\": \"ms\", \"gb_per_s\": %.0f}\n", copy.device_ms, copy_rate);
    List parameters, statistics;
    resnet50(options, parameters, statistics);
    const List gradients = like(parameters, 0.01);
    check_ema(parameters);
    check_graph(parameters);
    check_select(parameters, statistics);
    check_finite(gradients);
    check_normalized(options);
    check_lars(parameters, gradients);
    check_adamw(parameters, gradients);
    check_clip(gradients);
    check_row_sums(options);
    check("all", all_right);
    return all_right ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1) repeats = std::max(1, std::atoi(argv[1]));
    try {
        return run();
    } catch (const std::exception& problem) {
        std::fprintf(stderr, "kernels: %s\n", problem.what());
        return 1;
    }
}
