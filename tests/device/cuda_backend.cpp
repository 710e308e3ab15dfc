// SPDX-License-Identifier: Apache-2.0
// device::CudaBackend: what it compiles it keeps, and what it says where it cannot be used.
#include <doppel/device/cuda_backend.hpp>
#include <doppel/device/kernel.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("a program is compiled once, and again where its file is damaged") {
    std::unique_ptr<device::Nvrtc> nvrtc;
    if (const auto why_not = message_of([&] { nvrtc = std::make_unique<device::Nvrtc>(); }); !why_not.empty()) SKIP(why_not);
    const TemporaryFolder folder;
    const device::CodeCache cache(folder.path());
    const std::string text = "extern \"C\" __global__ void one(int* x) { *x = 1; }";
    const auto first = device::compiled(*nvrtc, cache, text, 90);
    CHECK(first.substr(1, 3) == "ELF");
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) files.push_back(entry.path());
    REQUIRE(files.size() == 1);
    const auto kept = read_text(files[0]);
    CHECK(kept.ends_with(first));
    const auto written = std::filesystem::last_write_time(files[0]);
    CHECK(device::compiled(*nvrtc, cache, text, 90) == first);
    CHECK(std::filesystem::last_write_time(files[0]) == written);  // found, not made
    write_bytes(files[0], kept.substr(0, kept.size() / 2));
    CHECK(device::compiled(*nvrtc, cache, text, 90) == first);
    CHECK(read_text(files[0]) == kept);
    CHECK(device::compiled(*nvrtc, cache, text, 80) != first);
}

TEST_CASE("the driver that is not there is an error of one line") {
    says([] { device::Driver("libdoppel-has-none.so"); }, {"Driver: libdoppel-has-none.so cannot be loaded", "NVIDIA's driver"});
    says([] { device::Driver("libm.so.6"); }, {"Driver: libm.so.6 has no function cuInit"});
}

TEST_CASE("CudaBackend says why kernels are not usable") {
    device::CudaBackend backend;
    const auto& cpu = backend.usable(at::kCPU);
    CHECK_FALSE(cpu);
    CHECK(cpu.why_not == "the device is not a CUDA device");
    if (at::hasCUDA() && at::detail::getCUDAHooks().deviceCount() > 0) return;
    const auto& cuda = backend.usable(at::Device(at::kCUDA, 0));
    CHECK_FALSE(cuda);
    INFO(cuda.why_not);
    CHECK_FALSE(cuda.why_not.empty());
    CHECK(&backend.usable(at::Device(at::kCUDA, 0)) == &cuda);  // looked at once
}
