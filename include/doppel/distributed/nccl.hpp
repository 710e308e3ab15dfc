// SPDX-License-Identifier: Apache-2.0
// Gives a program NCCL, by which the processes of a run speak on GPUs. Needs the headers of NCCL and of CUDA's runtime, which are
// beside pip's LibTorch; a program that links doppel::compiled has it.
#pragma once

#include <doppel/distributed/detail/backend.hpp>

#ifndef USE_C10D_NCCL
#define USE_C10D_NCCL  // without it, c10d's header is empty
#endif
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

namespace doppel::distributed::detail {

inline const bool nccl_is_here = [] {
    nccl = [](const c10::intrusive_ptr<c10d::Store>& store, int rank, int size, int gpu, const std::string&,
              std::chrono::milliseconds timeout) -> c10::intrusive_ptr<c10d::Backend> {
        auto options = c10d::ProcessGroupNCCL::Options::create();
        options->timeout = timeout;
        auto backend = c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, options);
        backend->setBoundDeviceId(at::Device(at::kCUDA, static_cast<at::DeviceIndex>(gpu)));
        return backend;
    };
    return true;
}();

}  // namespace doppel::distributed::detail
