// SPDX-License-Identifier: Apache-2.0
// device::Nvrtc: doppel's kernels compile for every architecture, without a GPU; a wrong kernel has the compiler's message.
#include <doppel/core/tensor.hpp>
#include <doppel/device/cuda_backend.hpp>
#include <doppel/device/nvrtc.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

/// NVRTC; null, with the reason, where LibTorch has come without CUDA.
std::unique_ptr<device::Nvrtc> nvrtc(std::string& why_not) {
    std::unique_ptr<device::Nvrtc> one;
    why_not = message_of([&] { one = std::make_unique<device::Nvrtc>(); });
    return one;
}

}  // namespace

TEST_CASE("Nvrtc compiles doppel's kernels for all architectures from Turing to Blackwell") {
    std::string why_not;
    const auto compiler_or_none = nvrtc(why_not);
    if (!compiler_or_none) SKIP(why_not);
    const auto& compiler = *compiler_or_none;
    const auto text = device::in_lines(device::kernel_source);
    for (const int capability : {75, 80, 86, 89, 90, 100, 120}) {
        const auto architecture = compiler.architecture(capability);
        INFO(architecture << " by NVRTC " << compiler.version());
        CHECK(architecture == "sm_" + std::to_string(capability));
        const auto code = compiler.compile(text, architecture);
        CHECK(code.substr(1, 3) == "ELF");
        for (const char* name : {"doppel_ema", "doppel_select", "doppel_not_finite", "doppel_normalize", "doppel_lars_step",
                                 "doppel_adam_step", "doppel_clip_each", "doppel_row_sums", "doppel_views"})
            CHECK(code.find(name) != std::string::npos);
    }
}

TEST_CASE("Nvrtc compiles for a device that is newer than itself by way of the driver") {
    std::string why_not;
    const auto compiler_or_none = nvrtc(why_not);
    if (!compiler_or_none) SKIP(why_not);
    const auto& compiler = *compiler_or_none;
    const auto architecture = compiler.architecture(999);
    CHECK(architecture.starts_with("compute_"));
    CHECK(mentions(compiler.compile("extern \"C\" __global__ void one(int* x) { *x = 1; }", architecture), {".visible .entry one"}));
    says([&] { compiler.architecture(20); }, {"Nvrtc: version", "compiles for no device of compute capability 2.0"});
}

TEST_CASE("Nvrtc reports a wrong kernel in the compiler's words") {
    std::string why_not;
    const auto compiler_or_none = nvrtc(why_not);
    if (!compiler_or_none) SKIP(why_not);
    const auto& compiler = *compiler_or_none;
    says([&] { compiler.compile(device::in_lines("__global__ void f() { int x = 0; undefined_name(x); }"), "sm_90"); },
         {"Nvrtc: a kernel does not compile for sm_90", "doppel.cu(3)", "undefined_name"});
}

TEST_CASE("Nvrtc that is not there says which package has it") {
    says([] { device::Nvrtc({"/no/libnvrtc.so.13", "libdoppel-has-none.so"}); }, {"Nvrtc: libnvrtc", "2 names tried", "pip install nvidia-cuda-nvrtc"});
    says([] { device::Nvrtc({"libm.so.6"}); }, {"Nvrtc: libnvrtc"});  // a library, but not this one
}

TEST_CASE("Nvrtc is looked for beside LibTorch, in its folder and in pip's packages") {
    const TemporaryFolder folder;
    write_bytes(folder / "torch/lib/libnvrtc-1a2b.so.12", "");
    write_bytes(folder / "torch/lib/libnvrtc-builtins.so.12", "");
    write_bytes(folder / "nvidia/cu13/lib/libnvrtc.so.13", "");
    write_bytes(folder / "nvidia/cu13/lib/libnvrtc.alt.so.13", "");
    write_bytes(folder / "nvidia/cu13/lib/libcudart.so.13", "");
    const auto files = device::detail::nvrtc_files({folder / "torch/lib"});
    REQUIRE(files.size() == 5);
    CHECK(files[0].ends_with("/libnvrtc-1a2b.so.12"));
    CHECK(files[1].ends_with("/cu13/lib/libnvrtc.so.13"));
    CHECK(files[2] == "libnvrtc.so.13");
    CHECK_FALSE(device::detail::torch_folders().empty());
}
