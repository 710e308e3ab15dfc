// SPDX-License-Identifier: Apache-2.0
// The simulated device computes as the CPU, rejects what CUDA rejects, and notes launches and waits.
#include <doppel/core/module.hpp>

#include <ATen/CPUGeneratorImpl.h>

#include "simulated_device/device/device.hpp"
#include "support/support.hpp"

using namespace doppel;
using namespace doppel::test;
using simulated::What;

namespace {

const at::Device gpu(at::kCUDA, 0), other(at::kCUDA, 1);

std::string refused(const std::function<void()>& f) {
    try {
        f();
    } catch (const c10::Error& error) {
        return error.what_without_backtrace();
    }
    return "not rejected";
}

std::vector<Tensor> list(std::initializer_list<at::IntArrayRef> shapes, at::Device device = gpu) {
    std::vector<Tensor> all;
    for (const auto shape : shapes) all.push_back(at::ones(shape, device));
    return all;
}

/// Launches, and how many of them are of a multi-tensor operator's slow route.
std::pair<std::int64_t, std::int64_t> launches(const std::function<void()>& f) {
    simulated::take();
    f();
    const auto trace = simulated::take();
    std::int64_t slow = 0;
    for (const auto& note : trace.notes) slow += note.what == What::launch && !note.why.empty();
    return {trace.count(What::launch), slow};
}
using Launches = std::pair<std::int64_t, std::int64_t>;

}  // namespace

TEST_CASE("values and gradients are the CPU's, on both devices") {
    simulated::install();
    CHECK(at::hasCUDA());
    for (const auto device : {gpu, other}) {
        const Tensor a = at::randn({4, 3}), b = at::randn({3, 5});
        const auto gradient = [&](at::Device where) {
            const Tensor x = a.to(where, a.scalar_type(), false, true).requires_grad_(true);
            (x.mm(b.to(where)).relu() + 1).pow(2).mean().backward();
            CHECK(x.grad().device() == where);
            return x.grad().cpu();
        };
        CHECK(at::equal(gradient(device), gradient(at::kCPU)));
    }
}

TEST_CASE("the table is of this LibTorch; for another one the program says how to make it again") {
    CHECK(simulated::version_problem("2.11.0", "2.11.0").empty());
    CHECK(simulated::version_problem("2.11.0", "2.12.0") ==
          "simulated device: its table of operators is of LibTorch 2.11.0, this program has 2.12.0; `./run device --table` makes the table again");
}

TEST_CASE("tensors of two devices are rejected as CUDA does, numbers on the CPU are not") {
    simulated::install();
    const Tensor a = at::randn({4, 3}, gpu);
    CHECK(refused([&] { a.mm(at::randn({3, 5})); }) ==
          "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! (when checking argument for argument mat2 in method aten::mm)");
    CHECK(refused([&] { (void)(a + at::randn({3})); }).find("cuda:0 and cpu") != std::string::npos);
    CHECK(refused([&] { (void)(a + at::randn({3}, other)); }).find("cuda:0 and cuda:1") != std::string::npos);
    CHECK((a + at::randn({})).device() == gpu);
}

TEST_CASE("an operator without a CUDA kernel is rejected by name") {
    simulated::install();
    CHECK(refused([&] { at::histogram(at::randn({8}, gpu), 4); }).find("Could not run 'aten::histogram.bin_ct' with arguments from the 'CUDA' backend") !=
          std::string::npos);
}

TEST_CASE("generators are the device's own and draw what the CPU's draws for the same seed") {
    simulated::install();
    CHECK(refused([&] { at::empty({4}, gpu).normal_(0, 1, at::detail::getDefaultCPUGenerator()); }) ==
          "Expected a 'cuda' device type for generator but found 'cpu' (aten::normal_)");
    auto generator = at::globalContext().defaultGenerator(other);
    generator.set_current_seed(3);
    const Tensor first = at::randn({8}, other).cpu();
    auto host = at::detail::createCPUGenerator(3);
    CHECK(at::equal(first, at::randn({8}, host)));
    CHECK(!at::equal(first, at::randn({8}, other).cpu()));
    generator.set_current_seed(3);
    CHECK(at::equal(first, at::randn({8}, other).cpu()));
}

TEST_CASE("what makes the host wait is noted by its operator") {
    simulated::install();
    const Tensor a = at::ones({4, 4}, gpu);
    const auto wait = [&](const std::function<void()>& f) {
        simulated::take();
        f();
        const auto trace = simulated::take();
        return trace.count(What::wait) == 1 ? trace.notes.back().op + ": " + trace.notes.back().why : std::to_string(trace.count(What::wait));
    };
    CHECK(wait([&] { a.sum().item<double>(); }) == "item: reads a value back");
    CHECK(wait([&] { a.masked_select(a > 0); }) == "masked_select: the result's shape depends on data");
    CHECK(wait([&] { a.index({a.sum(1) > 0}); }) == "index.Tensor: a mask as index: the shape depends on data");
    CHECK(wait([&] { a.index({at::arange(2)}); }) == "index.Tensor: indices on the CPU are copied");
    CHECK(wait([&] { at::linalg_eigvalsh(a); }) == "_linalg_eigh: looks at an error flag on the host");
    CHECK(wait([&] { at::linalg_svdvals(a); }) == "_linalg_svd: looks at an error flag on the host");
    CHECK(wait([&] { a.cpu(); }) == "copy from the device: blocking");
    CHECK(wait([&] { at::ones({2}).to(gpu); }) == "copy to the device: blocking");
    CHECK(wait([&] { a.index({at::arange(2, gpu)}); }) == "0");
    CHECK(wait([&] { at::linalg_cholesky(a + at::eye(4, gpu)); }) == "item: reads a value back");
}

TEST_CASE("lists that CUDA's multi-tensor kernels take are one launch, others one launch per tensor") {
    simulated::install();
    const auto a = list({{2, 3}, {4}}), b = list({{2, 3}, {4}}), scales = list({{}, {}});
    CHECK(launches([&] { at::_foreach_add_(a, b); }) == Launches{1, 0});
    CHECK(launches([&] { at::_foreach_lerp_(a, b, 0.5); }) == Launches{1, 0});
    CHECK(launches([&] { at::_foreach_mul_(a, 2.0); }) == Launches{1, 0});
    CHECK(launches([&] { at::_foreach_norm(a, 2); }) == Launches{1, 0});
    CHECK(launches([&] { at::_foreach_copy_(a, b); }) == Launches{1, 0});
    CHECK(launches([&] { at::_foreach_zero_(a); }) == Launches{1, 0});
    CHECK(launches([&] { at::_foreach_mul_(a, scales); }) == Launches{2, 2});
    CHECK(launches([&] { at::_foreach_add_(a, std::vector{b[0].t().contiguous().t(), b[1]}); }) == Launches{3, 2});
    auto whole = list({{2}, {3}});
    for (auto& t : whole) t = t.to(at::kLong);
    CHECK(launches([&] { at::_foreach_add(whole, 0.5); }) == Launches{2, 2});
    CHECK(launches([&] { at::_foreach_add_(whole, 1); }) == Launches{1, 0});
}

TEST_CASE("fused optimizers leave weights and state alone where found_inf is set, and take the rate as a tensor") {
    simulated::install();
    const auto step = [&](double found, bool sgd, const simulated::Faults& faults = {}) {
        const simulated::Use use({.faults = faults});
        const auto p = list({{3}, {2, 2}}), g = list({{3}, {2, 2}}), m = list({{3}, {2, 2}}), v = list({{3}, {2, 2}}), none = list({});
        const std::vector<Tensor> steps = list({{}, {}});
        const Tensor flag = at::full({}, found, gpu), rate = at::full({}, 0.5, gpu);
        simulated::take();
        if (sgd) at::_fused_sgd_(p, g, m, 0.0, 0.9, rate, 0.0, false, false, false, {}, flag);
        else at::_fused_adamw_(p, g, m, v, none, steps, rate, 0.9, 0.99, 0.0, 1e-8, false, false, {}, flag);
        const auto trace = simulated::take();
        CHECK(trace.count(What::launch) == 1);
        CHECK(trace.count(What::wait) == 0);
        double moved = 0;
        for (const auto& all : {p, m, v})
            for (const auto& t : all) moved += (t - 1).abs().sum().item<double>();
        return moved;
    };
    for (const bool sgd : {true, false}) {
        CHECK(step(0, sgd) > 0);
        CHECK(step(1, sgd) == 0);
        CHECK(step(1, sgd, {.found_inf_ignored = true}) > 0);
    }
}

TEST_CASE("views share their storage with the tensor, results written in place are the argument") {
    simulated::install();
    const Tensor a = at::zeros({4, 3}, gpu);
    a.t().narrow(0, 1, 1).fill_(2);
    CHECK(a.sum().item<double>() == 8);
    CHECK(a.add_(1).is_same(a));
    Tensor out = at::empty({0}, gpu);
    at::sum_out(out, a, 1);
    CHECK(at::equal(out.cpu(), at::full({4}, 5.0)));
    CHECK(a.is_alias_of(a.view({3, 4})));
    CHECK(a.unfold(0, 2, 1).is_alias_of(a));
}

TEST_CASE("memory that nobody wrote holds NaN") {
    simulated::install();
    CHECK(at::empty({3}, gpu).isnan().all().item<bool>());
}

TEST_CASE("a later step's differences from a captured one are listed") {
    simulated::install();
    const simulated::Use use({.details = true});
    const Tensor a = at::ones({4, 4}, gpu);
    const auto traced = [&](double scale, std::int64_t rows) {
        simulated::take();
        a.narrow(0, 0, rows).mul(scale).sum();
        return simulated::take();
    };
    const auto first = traced(2, 4);
    CHECK(against_capture(first, traced(2, 4)).empty());
    CHECK(against_capture(first, traced(3, 4)) == std::map<std::string, int>{{"number: mul.Tensor other=2 and other=3", 1}});
    CHECK(against_capture(first, traced(2, 3)).size() == 2);
    simulated::take();
    a.sum().item<double>();
    const auto waiting = against_capture(first, simulated::take());
    CHECK(waiting.begin()->first.starts_with("launch 0: mul.Tensor and sum"));
}
