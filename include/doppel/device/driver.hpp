// SPDX-License-Identifier: Apache-2.0
// The CUDA driver's functions for modules and launches, found when the program runs: no CUDA header is needed.
#pragma once

#include <doppel/core/error.hpp>

#include <dlfcn.h>

#include <string>
#include <type_traits>

namespace doppel::device {

/// The CUDA driver (libcuda). Throws Error if it is not installed, or if a call fails.
/// Devices are numbered as in LibTorch: both follow CUDA_VISIBLE_DEVICES.
class Driver {
public:
    explicit Driver(const std::string& file = "libcuda.so.1") {
        void* const library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
        require(library != nullptr, "Driver: ", file, " cannot be loaded; is NVIDIA's driver installed?");
        const auto get = [&](auto& function, const char* symbol) {
            function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, symbol));
            require(function != nullptr, "Driver: ", file, " has no function ", symbol, "; is it NVIDIA's driver?");
        };
        get(init_, "cuInit");
        get(name_, "cuGetErrorName");
        get(device_, "cuDeviceGet");
        get(attribute_, "cuDeviceGetAttribute");
        get(current_, "cuCtxGetCurrent");
        get(set_current_, "cuCtxSetCurrent");
        get(retain_, "cuDevicePrimaryCtxRetain");
        get(load_, "cuModuleLoadData");
        get(function_, "cuModuleGetFunction");
        get(function_attribute_, "cuFuncGetAttribute");
        get(launch_, "cuLaunchKernel");
        check("cuInit", init_(0));
    }

    /// Returns the compute capability of a device: 90 for 9.0.
    int capability(int device) const {
        int major = 0, minor = 0;
        check("cuDeviceGetAttribute", attribute_(&major, 75, handle(device)));
        check("cuDeviceGetAttribute", attribute_(&minor, 76, handle(device)));
        return major * 10 + minor;
    }

    /// Makes the device's primary context, LibTorch's, the calling thread's if it has none yet.
    void enter(int device) const {
        void* context = nullptr;
        check("cuCtxGetCurrent", current_(&context));
        if (context) return;
        check("cuDevicePrimaryCtxRetain", retain_(&context, handle(device)));
        check("cuCtxSetCurrent", set_current_(context));
    }

    /// Loads machine code or PTX into the current context, for the rest of the process.
    void* load(const std::string& code) const {
        void* module = nullptr;
        check("cuModuleLoadData", load_(&module, code.c_str()));
        return module;
    }

    /// Returns a function of a module; the module must have it.
    void* function(void* module, const char* name) const {
        void* found = nullptr;
        const int status = function_(&found, module, name);
        require(status != 500, "Driver: the module has no kernel '", name, "'");  // CUDA_ERROR_NOT_FOUND
        check("cuModuleGetFunction", status);
        return found;
    }

    /// Returns how many threads a block of the function may have.
    int most_threads(void* function) const {
        int threads = 0;
        check("cuFuncGetAttribute", function_attribute_(&threads, 0, function));
        return threads;
    }

    void launch(void* function, unsigned blocks, unsigned threads, void* stream, void** arguments) const {
        check("cuLaunchKernel", launch_(function, blocks, 1, 1, threads, 1, 1, 0, stream, arguments, nullptr));
    }

private:
    int handle(int device) const {
        int found = 0;
        check("cuDeviceGet", device_(&found, device));
        return found;
    }

    void check(const char* call, int status) const {
        if (status == 0) return;
        const char* name = nullptr;
        name_(status, &name);
        fail("Driver: ", call, " failed: ", name ? name : "unknown error", " (", status, ")");
    }

    int (*init_)(unsigned) = nullptr;
    int (*name_)(int, const char**) = nullptr;
    int (*device_)(int*, int) = nullptr;
    int (*attribute_)(int*, int, int) = nullptr;
    int (*current_)(void**) = nullptr;
    int (*set_current_)(void*) = nullptr;
    int (*retain_)(void**, int) = nullptr;
    int (*load_)(void**, const void*) = nullptr;
    int (*function_)(void**, void*, const char*) = nullptr;
    int (*function_attribute_)(int*, int, void*) = nullptr;
    int (*launch_)(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**) = nullptr;
};

}  // namespace doppel::device
