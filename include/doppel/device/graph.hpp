// SPDX-License-Identifier: Apache-2.0
// Work of a device, captured once and replayed.
#pragma once

#include <memory>

namespace doppel::device {

/// Kernels and copies that were launched between begin() and end() on the current stream; replay() launches them all at once,
/// on the same memory. Nothing runs while it is captured.
class Graph {
public:
    Graph() = default;
    virtual ~Graph() = default;
    Graph(const Graph&) = delete;
    Graph& operator=(const Graph&) = delete;

    virtual void begin() = 0;
    virtual void end() = 0;
    virtual void replay() = 0;
};

using GraphFactory = std::unique_ptr<Graph> (*)();

/// Makes a Graph; null where the program is built without (device/cuda_graph.hpp registers the one of CUDA).
inline GraphFactory& graph_factory() {
    static GraphFactory factory = nullptr;
    return factory;
}

}  // namespace doppel::device
