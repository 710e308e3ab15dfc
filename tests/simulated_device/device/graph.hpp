// SPDX-License-Identifier: Apache-2.0
// Graphs of the simulated device: what was launched while one was captured is done again, in the same memory, with the numbers
// of then. What must not stand in a capture throws, as on CUDA.
#pragma once

#include <doppel/device/graph.hpp>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace simulated {

namespace detail {

struct Recording {
    std::vector<std::function<void()>> work;
};
/// The capture that goes on, of any thread: a backward pass has its own.
inline Recording*& recording() {
    static Recording* now = nullptr;
    return now;
}
/// Launches of a replay are one launch together.
inline bool& replaying() {
    static bool now = false;
    return now;
}
inline void forbid_in_capture(const std::string& what) {
    if (recording()) throw std::runtime_error("operation not permitted when stream is capturing: " + what);
}

}  // namespace detail

class Graph final : public doppel::device::Graph {
public:
    ~Graph() override {
        if (detail::recording() == &recording_) detail::recording() = nullptr;
    }
    void begin() override;
    void end() override;
    void replay() override;

private:
    detail::Recording recording_;
    std::function<void()> put_back_;  ///< memory and generators as they were: a capture computes nothing
};

/// Programs capture graphs for the life of the object.
class UseGraphs {
public:
    UseGraphs() {
        doppel::device::graph_factory() = [] { return std::unique_ptr<doppel::device::Graph>(std::make_unique<Graph>()); };
    }
    ~UseGraphs() { doppel::device::graph_factory() = nullptr; }
    UseGraphs(const UseGraphs&) = delete;
    UseGraphs& operator=(const UseGraphs&) = delete;
};

}  // namespace simulated
