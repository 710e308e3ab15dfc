// SPDX-License-Identifier: Apache-2.0
// doppel's CUDA kernels as C++ on the CPU, and a backend that launches them: the same text, for tests of equality and counts
// of launches. Each thread of a block is a fiber; __syncthreads() and shuffles pass control to the next. Blocks run one after
// the other. A block whose threads do not all meet at a barrier is an error, where a GPU's result would be undefined.
#pragma once

#include <doppel/batched/fused.hpp>
#include <doppel/core/error.hpp>
#include <doppel/device/clip.hpp>
#include <doppel/device/ema.hpp>
#include <doppel/device/finite.hpp>
#include <doppel/device/kernel.hpp>
#include <doppel/device/lars.hpp>
#include <doppel/device/adamw.hpp>
#include <doppel/device/normalized.hpp>
#include <doppel/device/row_sums.hpp>
#include <doppel/device/select.hpp>

#include <ucontext.h>

#include <cmath>
#include <csetjmp>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace doppel::test::cpu {

struct Index {
    unsigned x = 0, y = 0, z = 0;
};

enum class At { running, barrier, done };

struct Fiber {
    ucontext_t context{};  // until it runs for the first time
    std::jmp_buf place{};
    bool started = false;
    std::vector<char> stack = std::vector<char>(64 * 1024);
    Index thread{};
    At at = At::running;
    std::uint64_t values[2]{};  // of shuffles: one is read while the other is written
    unsigned turn = 0;
};

struct Block {
    std::vector<Fiber> fibers;
    std::jmp_buf scheduler{};
    std::size_t current = 0;
    std::function<void()> body;
};

inline Block* block = nullptr;
inline Index block_index, block_size;

/// Jumps keep the signal mask as it is, so that they cost no system call; swapcontext would.
[[gnu::noinline]] inline void wait_at(At what) {
    Fiber& fiber = block->fibers[block->current];
    fiber.at = what;
    if (_setjmp(fiber.place) == 0) _longjmp(block->scheduler, 1);
}

inline void enter() {
    for (;;) {
        block->body();
        wait_at(At::done);
    }
}

[[gnu::noinline]] inline void resume(Fiber& fiber) {
    if (_setjmp(block->scheduler) != 0) return;
    if (fiber.started) _longjmp(fiber.place, 1);
    fiber.started = true;
    ::getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    fiber.context.uc_link = nullptr;
    ::makecontext(&fiber.context, &enter, 0);
    ::setcontext(&fiber.context);
}

/// Runs `body` once per thread of each block.
inline void run(unsigned blocks, unsigned threads, std::function<void()> body) {
    static std::mutex one_at_a_time;
    const std::lock_guard lock(one_at_a_time);
    static Block own;
    own.body = std::move(body);
    if (own.fibers.size() < threads) own.fibers.resize(threads);
    block = &own;
    block_size = {threads, 1, 1};
    for (unsigned b = 0; b < blocks; ++b) {
        block_index = {b, 0, 0};
        for (unsigned t = 0; t < threads; ++t) {
            own.fibers[t].thread = {t, 0, 0};
            own.fibers[t].at = At::running;
        }
        for (bool all_done = false; !all_done;) {
            std::size_t done = 0;
            for (std::size_t t = 0; t < threads; ++t) {  // each runs to its next barrier
                Fiber& fiber = own.fibers[t];
                if (fiber.at != At::done) {
                    own.current = t;
                    resume(fiber);
                }
                done += fiber.at == At::done;
            }
            all_done = done == threads;
            if (!all_done && done > 0) {
                own.fibers.clear();  // they stand in the middle of a kernel
                fail("kernels_on_cpu: not all threads of a block reach a barrier");
            }
        }
    }
}

/// What a lane of the same warp gives. Shuffles are barriers of the block here: kernels call them with all threads.
template <class T>
T of_lane(T value, unsigned lane) {
    static_assert(sizeof(T) <= 8);
    const std::size_t own = block->current, warp = own / 32 * 32;
    const unsigned turn = block->fibers[own].turn++ % 2;
    std::memcpy(&block->fibers[own].values[turn], &value, sizeof value);
    wait_at(At::barrier);  // all have given theirs
    T result;
    std::memcpy(&result, &block->fibers[warp + lane].values[turn], sizeof result);
    return result;
}

}  // namespace doppel::test::cpu

/// The text, among what CUDA provides.
namespace doppel::device::on_cpu {

struct uint2 {
    unsigned x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

template <class To, class From>
To bits_as(From value) {
    static_assert(sizeof(To) == sizeof(From));
    To result;
    std::memcpy(&result, &value, sizeof value);
    return result;
}
inline unsigned __float_as_uint(float value) { return bits_as<unsigned>(value); }
inline float __uint_as_float(unsigned bits) { return bits_as<float>(bits); }
inline float __int_as_float(int bits) { return bits_as<float>(bits); }
inline void __syncthreads() { test::cpu::wait_at(test::cpu::At::barrier); }
template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
    return test::cpu::of_lane(value, static_cast<unsigned>(test::cpu::block->current % 32) ^ static_cast<unsigned>(mask));
}

#pragma GCC diagnostic push  // CUDA's compiler mixes signs without a warning
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wconversion"
#define __global__ inline
#define __device__
#define __shared__ static
#define __launch_bounds__(...)
#define __grid_constant__
#define threadIdx (::doppel::test::cpu::block->fibers[::doppel::test::cpu::block->current].thread)
#define blockIdx (::doppel::test::cpu::block_index)
#define blockDim (::doppel::test::cpu::block_size)
#define DOPPEL_DEVICE_CODE(...) __VA_ARGS__
#include <doppel/device/kernels/common.cuh>
#include <doppel/device/kernels/ema.cuh>
#include <doppel/device/kernels/select.cuh>
#include <doppel/device/kernels/finite.cuh>
#include <doppel/device/kernels/normalize.cuh>
#include <doppel/device/kernels/lars.cuh>
#include <doppel/device/kernels/adamw.cuh>
#include <doppel/device/kernels/clip.cuh>
#include <doppel/device/kernels/row_sums.cuh>
#include <doppel/device/kernels/views.cuh>
#undef DOPPEL_DEVICE_CODE
#undef __global__
#undef __device__
#undef __shared__
#undef __launch_bounds__
#undef __grid_constant__
#undef threadIdx
#undef blockIdx
#undef blockDim
#pragma GCC diagnostic pop

}  // namespace doppel::device::on_cpu

namespace doppel::test {

/// A backend that runs kernels on memory of the CPU and counts launches by kernel, without the prefix "doppel_". It serves
/// the devices of one type: kCPU, or kCUDA where a test simulates one.
class KernelsOnCpu : public device::Backend {
public:
    explicit KernelsOnCpu(at::DeviceType type = at::kCPU) : type_(type) {
        using namespace device;
        add(ema_kernel, on_cpu::doppel_ema);
        add(select_kernel, on_cpu::doppel_select);
        add(not_finite_kernel, on_cpu::doppel_not_finite);
        add(normalize_kernel, on_cpu::doppel_normalize);
        add(lars_squares_kernel, on_cpu::doppel_lars_squares);
        add(lars_step_kernel, on_cpu::doppel_lars_step);
        add(adam_count_kernel, on_cpu::doppel_adam_count);
        add(adam_step_kernel, on_cpu::doppel_adam_step);
        add(squares_kernel, on_cpu::doppel_squares);
        add(clip_each_kernel, on_cpu::doppel_clip_each);
        add(row_sums_kernel, on_cpu::doppel_row_sums);
        add(batched::views_kernel, on_cpu::doppel_views);
    }

    const device::Usable& usable(at::Device device) override {
        static const device::Usable yes{true, ""}, no{false, "another type of device"};
        return device.type() == type_ ? yes : no;
    }

    void launch(const device::KernelName& kernel, device::Grid grid, void** arguments, at::Device) override {
        const auto call = bound(kernel, grid, arguments);
        ++launches[std::string(kernel.name).substr(7)];
        around(call);
    }

    /// A launch with copies of its arguments, for now or for later.
    std::function<void()> bound(const device::KernelName& kernel, device::Grid grid, void** arguments) const {
        const auto found = kernels_.find(kernel.name);
        require(found != kernels_.end(), "KernelsOnCpu: no kernel ", kernel.name);
        return [grid, call = found->second(arguments)] { cpu::run(grid.blocks, grid.threads, call); };
    }

    std::map<std::string, int> launches;

    /// Called with what runs a launch: a simulated device opens its memory around it.
    std::function<void(const std::function<void()>&)> around = [](const std::function<void()>& run) { run(); };

private:
    /// The host's parameter types must be those of the kernel.
    template <class... Parameters>
    void add(const device::Kernel<Parameters...>& kernel, void (*function)(Parameters...)) {
        kernels_[kernel.name] = [function](void** arguments) -> std::function<void()> {
            return [&]<std::size_t... i>(std::index_sequence<i...>) {
                return [function, values = std::tuple<Parameters...>(*static_cast<const Parameters*>(arguments[i])...)] {
                    std::apply(function, values);
                };
            }(std::index_sequence_for<Parameters...>());
        };
    }

    at::DeviceType type_;
    std::map<std::string, std::function<std::function<void()>(void**)>> kernels_;
};

}  // namespace doppel::test
