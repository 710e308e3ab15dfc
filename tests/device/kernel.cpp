// SPDX-License-Identifier: Apache-2.0
// device::Kernel and Number; kernels on the CPU: barriers, and the switch that turns kernels off.
#include <doppel/device/kernel.hpp>

#include "support/device_lists.hpp"
#include "support/kernels_on_cpu.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("kernels are usable where the backend says so, unless DOPPEL_KERNELS=0") {
    KernelsOnCpu backend;
    CHECK_FALSE(device::kernels_usable(at::kCPU));
    {
        const device::UseBackend use(backend);
        CHECK(device::kernels_usable(at::kCPU));
        ::setenv("DOPPEL_KERNELS", "0", 1);
        const auto& usable = device::kernels_usable(at::kCPU);
        ::unsetenv("DOPPEL_KERNELS");
        CHECK_FALSE(usable);
        CHECK(usable.why_not == "DOPPEL_KERNELS=0 is set");
        CHECK(device::kernels_usable(at::kCPU));
    }
    CHECK_FALSE(device::kernels_usable(at::kCPU));
}

TEST_CASE("a launch without blocks is none, and an unknown kernel an error") {
    KernelsOnCpu backend;
    const device::UseBackend use(backend);
    const device::Kernel<float*> none{"doppel_none"};
    none({0, 32}, at::kCPU, nullptr);
    says([&] { none({1, 32}, at::kCPU, nullptr); }, {"no kernel doppel_none"});
    CHECK(backend.launches.empty());
}

TEST_CASE("kernels on the CPU: a barrier that not all threads reach is an error") {
    int reached = 0;
    cpu::run(2, 64, [&] {
        cpu::wait_at(cpu::At::barrier);
        ++reached;
    });
    CHECK(reached == 128);
    says([] {
        cpu::run(1, 64, [] {
            if (cpu::block->current < 3) cpu::wait_at(cpu::At::barrier);
        });
    }, {"not all threads of a block reach a barrier"});
}

TEST_CASE("Number is a constant or a tensor times a factor") {
    const device::Number constant(0.25);
    CHECK(constant.is_constant());
    CHECK(constant.value() == 0.25);
    CHECK(constant.tensor().item<double>() == 0.25);
    const Tensor lr = at::full({}, 0.5, at::kFloat);
    const device::Number scaled(lr, 0.1);
    CHECK_FALSE(scaled.is_constant());
    CHECK(scaled.value() == 0.05);
    CHECK(scaled.tensor().item<double>() == 0.05);
    CHECK(scaled.argument(at::kCPU).at == lr.const_data_ptr());
    CHECK(scaled.argument(at::kCPU).wide == 0);
    CHECK(device::Number(lr.to(at::kDouble)).argument(at::kCPU).wide == 1);
    says([] { device::Number(at::zeros({2}, at::kFloat)); }, {"Number: a tensor must hold one float32 or float64"});
    says([] { device::Number(at::zeros({}, at::kLong)); }, {"Number:"});
    says([&] { scaled.argument(at::Device(at::kCUDA, 1)); }, {"Number: the tensor is on cpu, expected cuda:1"});
}
