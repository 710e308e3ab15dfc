// SPDX-License-Identifier: Apache-2.0
// Memory of the simulated device, and page-locked memory of the host.
#pragma once

#include "simulated_device/device/streams.hpp"

#include <c10/core/Allocator.h>
#include <c10/util/Exception.h>

#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <set>

namespace simulated::detail {

struct Block {
    char* start = nullptr;
    std::size_t bytes = 0, mapped = 0;
    Place home = 0;            ///< the stream that it was allocated on
    int users = 0;             ///< kernels that may touch it now
    bool closed = false;       ///< to all others
    Clock written{}, read{};   ///< the last write, and reads since
    std::set<Place> recorded{};  ///< by record_stream(): the allocator waits for them
};

struct Memory {
    std::map<char*, Block> blocks;
    std::map<std::pair<Place, std::size_t>, std::vector<Block>> unused;  ///< by home and size, as CUDA's allocator keeps them
    std::map<char*, std::size_t> page_locked;
};
inline Memory& memory() {
    static auto* memory = new Memory;
    return *memory;
}

/// The entry that an address lies in; nullptr: none.
template <class Entries, class Size>
auto* entry_at(Entries& entries, const void* address, Size size) {
    auto* p = static_cast<char*>(const_cast<void*>(address));
    auto found = entries.upper_bound(p);
    if (found == entries.begin()) return static_cast<decltype(&found->second)>(nullptr);
    --found;
    return p < found->first + std::max<std::size_t>(size(found->second), 1) ? &found->second : nullptr;
}
inline Block* block_at(const void* address) {
    return entry_at(memory().blocks, address, [](const Block& block) { return block.bytes; });
}
inline bool is_page_locked(const void* address) {
    const auto guard = lock();
    return entry_at(memory().page_locked, address, [](std::size_t bytes) { return bytes; }) != nullptr;
}

/// Opens blocks to a kernel for the life of the object.
class Open {
public:
    explicit Open(std::vector<const void*> addresses) : addresses_(std::move(addresses)) { each(+1); }
    ~Open() { each(-1); }
    Open(const Open&) = delete;
    Open& operator=(const Open&) = delete;

private:
    void each(int change) {
        const auto guard = lock();
        for (const void* address : addresses_)
            if (Block* block = block_at(address)) {
                block->users += change;
                if (block->closed && block->users == (change > 0 ? 1 : 0))
                    ::mprotect(block->start, block->mapped, change > 0 ? PROT_READ | PROT_WRITE : PROT_NONE);
            }
    }
    std::vector<const void*> addresses_;
};

/// Notes what a piece of work on a stream reads and writes, and the races.
inline void touch(const std::string& op, Place place, const Clock& clock, const std::vector<const void*>& reads,
                  const std::vector<const void*>& writes) {
    const auto guard = lock();
    const auto race = [&](const char* why) { note({.what = What::race, .op = op, .why = why}); };
    for (const void* address : reads)
        if (Block* block = block_at(address)) {
            if (!knows(clock, block->written)) race("reads memory that another stream may still write");
            block->read[place] = clock.at(place);
        }
    for (const void* address : writes)
        if (Block* block = block_at(address)) {
            if (!knows(clock, block->written)) race("writes memory that another stream may still write");
            if (!knows(clock, block->read)) race("writes memory that another stream may still read");
            block->written = {{place, clock.at(place)}};
            block->read.clear();
        }
}

void settle_before_free(const void* start);  // copies.hpp

struct Allocator final : c10::Allocator {
    c10::DataPtr allocate(std::size_t bytes) override {
        const at::Device device(kind, current_device);
        if (bytes == 0) return {nullptr, nullptr, &release, device};
        const auto guard = lock();
        const std::size_t page = 4096, mapped = (bytes + page - 1) / page * page;
        const Place home = current_place(current_device);
        Block block;
        if (auto& unused = memory().unused[{home, mapped}]; !unused.empty()) {
            block = std::move(unused.back());
            unused.pop_back();
            check_reuse(block);
            ::mprotect(block.start, mapped, PROT_READ | PROT_WRITE);
        } else {
            void* start = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            TORCH_CHECK(start != MAP_FAILED, "simulated device: no memory for ", bytes, " bytes");
            block.start = static_cast<char*>(start);
        }
        std::memset(block.start, 0xFF, bytes);  // NaN
        const bool closed = state().settings.closed_to_host;
        if (closed) ::mprotect(block.start, mapped, PROT_NONE);
        memory().blocks[block.start] = {.start = block.start, .bytes = bytes, .mapped = mapped, .home = home, .closed = closed};
        return {block.start, block.start, &release, device};
    }
    c10::DeleterFnPtr raw_deleter() const override { return &release; }
    void copy_data(void* to, const void* from, std::size_t bytes) const override {
        const Open open({to, from});
        std::memcpy(to, from, bytes);
    }
    static void release(void* start) {
        if (!start) return;
        settle_before_free(start);
        const auto guard = lock();
        auto entry = memory().blocks.extract(static_cast<char*>(start));
        if (entry.empty()) return;
        Block& block = entry.mapped();
        memory().unused[{block.home, block.mapped}].push_back(std::move(block));
    }

private:
    /// The allocator gives memory back to the stream that it came from, whatever other streams do with it.
    static void check_reuse(const Block& block) {
        Clock clock = state().streams[block.home];
        join(clock, state().host);
        for (const Clock* used : {&block.written, &block.read})
            for (const auto& [place, time] : *used)
                if (place != block.home && !block.recorded.contains(place) && !knows(clock, place, time)) {
                    note({.what = What::race, .op = "allocate", .why = "memory is reused while another stream may still use it: record_stream() is missing"});
                    return;
                }
    }
};

struct PageLockedAllocator final : c10::Allocator {
    c10::DataPtr allocate(std::size_t bytes) override {
        void* start = nullptr;
        if (bytes > 0) {
            TORCH_CHECK(::posix_memalign(&start, 4096, bytes) == 0, "simulated device: no memory for ", bytes, " bytes");
            const auto guard = lock();
            if (!state().settings.faults.nothing_page_locked) memory().page_locked[static_cast<char*>(start)] = bytes;
        }
        return {start, start, &release, at::kCPU};
    }
    c10::DeleterFnPtr raw_deleter() const override { return &release; }
    void copy_data(void* to, const void* from, std::size_t bytes) const override { std::memcpy(to, from, bytes); }
    static void release(void* start) {
        if (!start) return;
        {
            const auto guard = lock();
            memory().page_locked.erase(static_cast<char*>(start));
        }
        std::free(start);
    }
};

inline Allocator& allocator() {
    static auto* allocator = new Allocator;
    return *allocator;
}
inline PageLockedAllocator& page_locked_allocator() {
    static auto* allocator = new PageLockedAllocator;
    return *allocator;
}

/// Ends the program where code outside kernels touches closed memory; other faults go on as before.
inline struct sigaction& earlier_action() {
    static struct sigaction action {};
    return action;
}
inline void touched_from_outside(int, siginfo_t* info, void*) {
    if (!block_at(info->si_addr)) {
        ::sigaction(SIGSEGV, &earlier_action(), nullptr);
        return;
    }
    constexpr std::string_view text = "simulated device: code outside a kernel touches the device's memory; the stack:\n";
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
    std::array<void*, 64> frames{};
    ::backtrace_symbols_fd(frames.data(), ::backtrace(frames.data(), static_cast<int>(frames.size())), STDERR_FILENO);
    ::_exit(139);
}

}  // namespace simulated::detail
