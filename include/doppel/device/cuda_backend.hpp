// SPDX-License-Identifier: Apache-2.0
// Kernels on NVIDIA GPUs: compiled by NVRTC for the device, launched by the driver on LibTorch's current stream.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/device/backend.hpp>
#include <doppel/device/code_cache.hpp>
#include <doppel/device/driver.hpp>
#include <doppel/device/nvrtc.hpp>
#include <doppel/device/source.hpp>

#include <c10/core/DeviceGuard.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <dlfcn.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>

namespace doppel::device {

/// Returns a kernel program with a line break behind each statement, so that the compiler's messages quote a line: the text
/// of a macro's argument is one line.
inline std::string in_lines(const std::string& source) {
    std::string text;
    for (std::size_t i = 0; i < source.size(); ++i) {
        const char c = source[i];
        const bool ends = (c == ';' || c == '{' || c == '}') && i + 1 < source.size() && source[i + 1] == ' ';
        text += c;
        if (ends) text += '\n';
    }
    return text;
}

/// Returns the machine code of a program for a device of this compute capability: from the cache, else compiled and kept.
inline std::string compiled(const Nvrtc& nvrtc, const CodeCache& cache, const std::string& source, int capability) {
    const std::string architecture = nvrtc.architecture(capability);
    std::string key = architecture + ' ' + nvrtc.version();
    for (const auto& option : Nvrtc::options()) key += ' ' + option;
    key += '\n' + source;
    if (auto code = cache.find(key)) return *std::move(code);
    std::string code = nvrtc.compile(in_lines(source), architecture);
    cache.keep(key, code);
    return code;
}

/// The backend of CUDA devices. NVRTC and the driver are looked for at the first use. Launches are in order with LibTorch's
/// work on the same stream, and part of a captured graph; usable() must have been called before a capture.
class CudaBackend final : public Backend {
public:
    const Usable& usable(at::Device device) override {
        static const Usable other{false, "the device is not a CUDA device"};
        if (!device.is_cuda()) return other;
        const std::lock_guard lock(mutex_);
        const int index = index_of(device);
        const auto found = usable_.find(index);
        if (found != usable_.end()) return found->second;
        Usable answer{true, ""};
        try {
            require(native_streams<c10::Stream>, "this LibTorch is older than 2.11 and does not tell its streams");
            // Another library than CUDA's may serve LibTorch's CUDA devices.
            require(::dlopen("libc10_cuda.so", RTLD_NOW | RTLD_NOLOAD) != nullptr, "LibTorch's CUDA library is not loaded");
            if (!driver_) driver_ = std::make_unique<Driver>();  // without one, LibTorch's device cannot become the current one
            const c10::DeviceGuard guard(at::Device(at::kCUDA, static_cast<at::DeviceIndex>(index)));
            module(index, kernel_source);
        } catch (const Error& problem) {
            answer = {false, problem.what()};
        }
        return usable_.emplace(index, std::move(answer)).first->second;
    }

    void launch(const KernelName& kernel, Grid grid, void** arguments, at::Device device) override {
        const int index = index_of(device);
        const at::Device indexed(at::kCUDA, static_cast<at::DeviceIndex>(index));
        const c10::DeviceGuard guard(indexed);
        void* stream = native(c10::impl::VirtualGuardImpl(at::kCUDA).getStream(indexed));
        void* function = nullptr;
        {
            const std::lock_guard lock(mutex_);
            void*& known = functions_[{index, kernel.source, kernel.name}];
            if (!known) {
                void* const in = module(index, kernel.source);
                known = driver_->function(in, kernel.name);
                require(driver_->most_threads(known) >= static_cast<int>(grid.threads), "CudaBackend: ", kernel.name, " runs with at most ",
                        driver_->most_threads(known), " threads a block here, launched with ", grid.threads);
            }
            function = known;
        }
        driver_->enter(index);
        driver_->launch(function, grid.blocks, grid.threads, stream, arguments);
    }

private:
    template <class Stream>
    static constexpr bool native_streams = requires(const Stream& stream) { stream.native_handle(); };

    template <class Stream>
    static void* native(const Stream& stream) {
        if constexpr (native_streams<Stream>)
            return stream.native_handle();
        else
            fail("CudaBackend: this LibTorch is older than 2.11 and does not tell its streams");
    }

    static int index_of(at::Device device) {
        return device.has_index() ? device.index() : c10::impl::VirtualGuardImpl(at::kCUDA).getDevice().index();
    }

    /// Loads a program on a device, with the lock held and the device current.
    void* module(int index, const char* text) {
        void*& loaded = modules_[{index, text}];
        if (loaded) return loaded;
        if (!driver_) driver_ = std::make_unique<Driver>();
        if (!nvrtc_) nvrtc_ = std::make_unique<Nvrtc>();
        const auto code = compiled(*nvrtc_, CodeCache(code_cache_folder()), text, driver_->capability(index));
        driver_->enter(index);
        return loaded = driver_->load(code);
    }

    std::mutex mutex_;
    std::unique_ptr<Driver> driver_;
    std::unique_ptr<Nvrtc> nvrtc_;
    std::map<int, Usable> usable_;
    std::map<std::pair<int, const char*>, void*> modules_;
    std::map<std::tuple<int, const char*, const char*>, void*> functions_;
};

}  // namespace doppel::device
