// SPDX-License-Identifier: Apache-2.0
// device::Graph by CUDA graphs. Needs LibTorch with CUDA and the headers of CUDA's runtime; a program that includes it anywhere
// has graphs.
#pragma once

#include <doppel/device/graph.hpp>

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>

#include <memory>

namespace doppel::device {

namespace detail {

class CudaGraph final : public Graph {
public:
    void begin() override {
        c10::cuda::CUDACachingAllocator::emptyCache();  // a graph has memory of its own
        // Other threads go on as they like: loaders allocate page-locked memory.
        graph_.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
    }
    void end() override { graph_.capture_end(); }
    void replay() override { graph_.replay(); }

private:
    at::cuda::CUDAGraph graph_;
};

inline const bool has_cuda_graphs = [] {
    graph_factory() = [] { return std::unique_ptr<Graph>(std::make_unique<CudaGraph>()); };
    return true;
}();

}  // namespace detail

}  // namespace doppel::device
