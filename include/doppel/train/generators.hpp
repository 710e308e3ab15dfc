// SPDX-License-Identifier: Apache-2.0
// torch's random generators, which dropout and drop-path draw from: seeded, kept and put back.
#pragma once

#include <doppel/core/tensor.hpp>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace doppel::train {

/// The default generators of the CPU and, on a GPU, of `device`.
class Generators {
public:
    explicit Generators(at::Device device = at::kCPU) : all_{{"generator.cpu", at::detail::getDefaultCPUGenerator()}} {
        if (device.is_cuda()) all_.emplace("generator.cuda", at::globalContext().defaultGenerator(device));
    }

    /// LibTorch seeds them differently in each process.
    void seed(std::uint64_t seed) {
        for (auto& [name, generator] : all_) {
            const std::lock_guard lock(generator.mutex());
            generator.set_current_seed(seed);
        }
    }

    using State = std::map<std::string, Tensor>;
    /// Their states by name: "generator.cpu", "generator.cuda".
    State state() {
        State states;
        for (auto& [name, generator] : all_) {
            const std::lock_guard lock(generator.mutex());
            states[name] = generator.get_state();
        }
        return states;
    }
    /// Puts states back; a generator without one keeps its own.
    void restore(const State& states) {
        for (auto& [name, generator] : all_)
            if (const auto found = states.find(name); found != states.end()) {
                const std::lock_guard lock(generator.mutex());
                generator.set_state(found->second);
            }
    }

private:
    std::map<std::string, at::Generator> all_;
};

}  // namespace doppel::train
