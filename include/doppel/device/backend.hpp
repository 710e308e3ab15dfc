// SPDX-License-Identifier: Apache-2.0
// What runs kernels: the CUDA driver, or in tests the CPU.
#pragma once

#include <c10/core/Device.h>

#include <atomic>
#include <string>
#include <utility>

namespace doppel::device {

/// Whether kernels run on a device, and if not, why.
struct Usable {
    bool yes = false;
    std::string why_not{};
    explicit operator bool() const { return yes; }
};

/// Blocks of a launch and threads of a block.
struct Grid {
    unsigned blocks, threads;
};

/// A kernel by its name in a program's source text. The text is a constant of the program: it is known by its address.
struct KernelName {
    const char* name;
    const char* source;
};

/// A way to run kernels. Functions may be called by several threads at once.
class Backend {
public:
    virtual ~Backend() = default;

    /// Whether doppel's kernels run on the device. The answer does not change; the first call may compile.
    virtual const Usable& usable(at::Device device) = 0;

    /// Enqueues a kernel on the device's current stream. `arguments` points to the values of the parameters.
    virtual void launch(const KernelName& kernel, Grid grid, void** arguments, at::Device device) = 0;
};

namespace detail {
inline std::atomic<Backend*> replaced_backend{nullptr};
}

/// Replaces the backend for a scope, in the whole process: for tests.
class UseBackend {
public:
    explicit UseBackend(Backend& backend) : before_(detail::replaced_backend.exchange(&backend)) {}
    ~UseBackend() { detail::replaced_backend = before_; }
    UseBackend(const UseBackend&) = delete;
    UseBackend& operator=(const UseBackend&) = delete;

private:
    Backend* before_;
};

}  // namespace doppel::device
