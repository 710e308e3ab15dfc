// SPDX-License-Identifier: Apache-2.0
// When things happen on the simulated device: vector clocks of its streams and of the host.
#pragma once

#include "simulated_device/device/device.hpp"
#include "simulated_device/device/graph.hpp"

#include <c10/core/Device.h>

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace simulated::detail {

inline constexpr at::DeviceType kind = at::kCUDA;

/// A stream of a device.
using Place = std::int64_t;
inline Place place_of(c10::DeviceIndex device, std::int64_t stream) { return device * 1000 + stream; }

/// How much of each stream's work is known to be done.
using Clock = std::map<Place, std::uint64_t>;
inline void join(Clock& clock, const Clock& other) {
    for (const auto& [place, time] : other) clock[place] = std::max(clock[place], time);
}
inline bool knows(const Clock& clock, Place place, std::uint64_t time) {
    const auto found = clock.find(place);
    return time == 0 || (found != clock.end() && found->second >= time);
}
inline bool knows(const Clock& clock, const Clock& other) {
    return std::all_of(other.begin(), other.end(), [&](const auto& entry) { return knows(clock, entry.first, entry.second); });
}

/// All that the device knows beside its memory. One lock guards it and the memory; no kernel computes under it.
struct State {
    std::recursive_mutex mutex;
    Settings settings;
    Trace trace;
    std::map<Place, Clock> streams;
    Clock host;
    std::int64_t streams_made = 0;
    std::thread::id main_thread = std::this_thread::get_id();  ///< that of install()
};
inline State& state() {
    static auto* state = new State;  // outlives what is freed at exit
    return *state;
}
inline auto lock() { return std::lock_guard(state().mutex); }

inline thread_local c10::DeviceIndex current_device = 0;
inline thread_local std::array<std::int64_t, devices> current_stream{};
inline c10::DeviceIndex index_of(at::Device device) { return device.has_index() ? device.index() : current_device; }
inline Place current_place(c10::DeviceIndex device) { return place_of(device, current_stream.at(static_cast<std::size_t>(device))); }

/// "doppel::train::all_finite" of a demangled name with templates and arguments.
inline std::string short_name(const std::string& full) {
    std::string name;
    int depth = 0;
    for (const char c : full) {
        if (c == '<') ++depth;
        if (depth == 0 && c == '(') break;
        if (depth == 0) name += c;
        if (c == '>') --depth;
    }
    return name.substr(name.find("doppel::") == std::string::npos ? 0 : name.find("doppel::"));
}

/// The function of doppel at an address of the program; "" for another one. Found once: a look through the symbols is long.
inline const std::string& function_at(void* address) {
    static auto* known = new std::map<void*, std::string>;
    const auto [entry, is_new] = known->try_emplace(address);
    Dl_info info{};
    if (!is_new || ::dladdr(address, &info) == 0 || !info.dli_sname) return entry->second;
    int status = 0;
    const std::unique_ptr<char, void (*)(void*)> name(abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status), std::free);
    if (const auto text = status == 0 ? short_name(name.get()) : ""; text.starts_with("doppel::")) entry->second = text;
    return entry->second;
}
/// The nearest function of doppel on the stack. Backward passes of a CUDA device run in threads of autograd's own.
inline std::string nearest_function() {
    std::array<void*, 96> frames{};
    const int count = ::backtrace(frames.data(), static_cast<int>(frames.size()));
    for (int i = 0; i < count; ++i)
        if (const auto& name = function_at(frames[static_cast<std::size_t>(i)]); !name.empty()) return name;
    return std::this_thread::get_id() == state().main_thread ? "" : "backward";
}

inline void note(Note note) {
    if (replaying() && note.what == What::launch) return;
    const auto guard = lock();
    if (note.what != What::launch) note.where = nearest_function();
    state().trace.notes.push_back(std::move(note));
}

/// The next piece of work on a stream: it starts after all that the host has waited for. Returns what it knows.
inline Clock next_on(Place place) {
    const auto guard = lock();
    Clock& clock = state().streams[place];
    join(clock, state().host);
    ++clock[place];
    return clock;
}

}  // namespace simulated::detail
