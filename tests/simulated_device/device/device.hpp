// SPDX-License-Identifier: Apache-2.0
// A CUDA device that is not there, for machines without a GPU.
//
// In a program that is linked with libtorch_cpu and libc10 alone, at::kCUDA has no implementation. install() gives it one:
// memory, streams and events, page-locked memory, generators, and a kernel for every operator that has a CUDA kernel in the
// real LibTorch (operators.hpp). Such a kernel
//   1. rejects tensors of several devices as CUDA does;
//   2. notes that it was launched, and whether the host has to wait (trace.hpp);
//   3. computes on the CPU, in the same memory.
// So the library's code for CUDA runs unchanged and gives the CPU's bits. Asynchronous copies happen as late as CUDA allows,
// memory that nobody wrote holds NaN, and two uses of one memory without an event between them are a race.
//
// It does not know speed, the rounding of real kernels, cuDNN's choice of algorithms, or how many kernels a real operator
// launches: each counts as one.
#pragma once

#include "simulated_device/device/trace.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace simulated {

/// Mistakes that a library can make, made for it: each must show.
struct Faults {
    bool events_ignored = false;        ///< a stream that should wait for an event does not
    bool nothing_page_locked = false;   ///< what was asked for as page-locked memory is pageable
    bool found_inf_ignored = false;     ///< fused optimizers step although found_inf is set
    bool streams_not_recorded = false;  ///< record_stream() does nothing
};

struct Settings {
    bool closed_to_host = false;  ///< memory that is allocated now ends the program when code outside kernels touches it
    bool details = false;         ///< launches are noted with shapes and numbers
    Faults faults{};
};

/// Why a program with this LibTorch cannot have the simulated device; "" when it can.
std::string version_problem(const std::string& of_table, const std::string& torch);

/// Puts two devices in place, once, before anything asks for at::kCUDA. Throws doppel::Error for another LibTorch than the
/// table's.
void install();

inline constexpr int devices = 2;

/// Settings for the life of the object.
///
///     const simulated::Use use({.details = true});
class Use {
public:
    explicit Use(const Settings& settings);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

private:
    Settings before_;
};

/// What was noted since the last call.
Trace take();

/// Runs a kernel that is no operator, on the current stream. What it touches is not known: it finds the copies that come before
/// it on its stream or by an event, and NaN in place of others; it takes no part in races.
void launch(const std::string& name, const std::function<void()>& body);

}  // namespace simulated
