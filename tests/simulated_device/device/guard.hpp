// SPDX-License-Identifier: Apache-2.0
// The simulated device as LibTorch sees it: current device, streams, events, generators, hooks.
#pragma once

#include "simulated_device/device/copies.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

namespace simulated::detail {

/// What had been put on a stream when the event was recorded there.
struct Event {
    Clock clock{};
    Place place = 0;
    bool asked = false;
};

struct Guard final : c10::impl::DeviceGuardImplInterface {
    at::DeviceType type() const override { return kind; }
    at::Device getDevice() const override { return {kind, current_device}; }
    void setDevice(at::Device device) const override {
        TORCH_CHECK(device.index() < devices, "simulated device: there is no ", device);
        current_device = index_of(device);
    }
    void uncheckedSetDevice(at::Device device) const noexcept override { current_device = index_of(device); }
    at::Device exchangeDevice(at::Device device) const override {
        const at::Device before = getDevice();
        setDevice(device);
        return before;
    }
    c10::DeviceIndex deviceCount() const noexcept override { return devices; }

    static c10::Stream stream(at::Device device, std::int64_t id) {
        return c10::Stream(c10::Stream::UNSAFE, at::Device(kind, index_of(device)), id);
    }
    c10::Stream getStream(at::Device device) const override {
        return stream(device, current_stream.at(static_cast<std::size_t>(index_of(device))));
    }
    c10::Stream getDefaultStream(at::Device device) const override { return stream(device, 0); }
    c10::Stream getStreamFromGlobalPool(at::Device device, bool) const override { return getNewStream(device, 0); }
    c10::Stream getNewStream(at::Device device, int) const override {
        const auto guard = lock();
        return stream(device, 1 + state().streams_made++ % 32);  // CUDA's pool has 32 too
    }
    c10::Stream exchangeStream(c10::Stream next) const override {
        const c10::Stream before = getStream(next.device());
        current_stream.at(static_cast<std::size_t>(next.device_index())) = next.id();
        return before;
    }

    void record(void** event, const c10::Stream& on, const c10::DeviceIndex, const c10::EventFlag) const override {
        if (!*event) *event = new Event;
        const auto guard = lock();
        const Place place = place_of(on.device_index(), on.id());
        state().streams[place].try_emplace(place, 0);
        *static_cast<Event*>(*event) = {.clock = state().streams[place], .place = place};
    }
    void block(void* event, const c10::Stream& waiting) const override {
        const auto guard = lock();
        if (event && !state().settings.faults.events_ignored)
            join(state().streams[place_of(waiting.device_index(), waiting.id())], static_cast<Event*>(event)->clock);
    }
    /// Not yet, when it is asked for the first time; then, so that a loop ends.
    bool queryEvent(void* event) const override {
        const auto guard = lock();
        auto* own = static_cast<Event*>(event);
        if (!own || knows(state().host, own->clock)) return true;
        if (!std::exchange(own->asked, true)) return false;
        host_learns(own->clock);
        return true;
    }
    void synchronizeEvent(void* event) const override {
        const auto guard = lock();
        const auto* own = static_cast<Event*>(event);
        if (!own || knows(state().host, own->clock)) return;
        const auto& now = state().streams[own->place];
        note({.what = knows(own->clock, own->place, now.at(own->place)) ? What::wait : What::late_wait, .op = "event.synchronize"});
        host_learns(own->clock);
    }
    void destroyEvent(void* event, const c10::DeviceIndex) const noexcept override { delete static_cast<Event*>(event); }
    bool queryStream(const c10::Stream& stream) const override {
        const auto guard = lock();
        return knows(state().host, state().streams[place_of(stream.device_index(), stream.id())]);
    }
    void synchronizeStream(const c10::Stream& stream) const override {
        note({.what = What::wait, .op = "stream.synchronize"});
        host_waits_for(place_of(stream.device_index(), stream.id()));
    }
    void synchronizeDevice(const c10::DeviceIndex) const override {
        note({.what = What::wait, .op = "device.synchronize"});
        host_waits_for_all();
    }
    void recordDataPtrOnStream(const c10::DataPtr& data, const c10::Stream& stream) const override {
        const auto guard = lock();
        Block* block = block_at(data.get());
        if (block && !state().settings.faults.streams_not_recorded) block->recorded.insert(place_of(stream.device_index(), stream.id()));
    }
};

/// Draws what a CPU generator of the same seed draws. Kernels of the CPU take no other device's generator, so they get that.
struct Generator final : c10::GeneratorImpl {
    explicit Generator(c10::DeviceIndex device)
        : c10::GeneratorImpl(at::Device(kind, device), c10::DispatchKeySet(c10::DispatchKey::CUDA)), host(at::detail::createCPUGenerator()) {}
    void set_current_seed(std::uint64_t seed) override { host.set_current_seed(seed); }
    void set_offset(std::uint64_t) override { TORCH_CHECK(false, "simulated device: generators have no offset"); }
    std::uint64_t get_offset() const override { TORCH_CHECK(false, "simulated device: generators have no offset"); }
    std::uint64_t current_seed() const override { return host.current_seed(); }
    std::uint64_t seed() override { return host.seed(); }
    void set_state(const c10::TensorImpl& s) override { host.unsafeGetGeneratorImpl()->set_state(s); }
    c10::intrusive_ptr<c10::TensorImpl> get_state() const override { return host.unsafeGetGeneratorImpl()->get_state(); }
    at::Generator host;

private:
    Generator* clone_impl() const override {
        auto* copy = new Generator(device_.index());
        copy->host = host.clone();
        return copy;
    }
};
inline const at::Generator& default_generator(c10::DeviceIndex device) {
    static auto* all = [] {
        auto* list = new std::vector<at::Generator>;
        for (c10::DeviceIndex d = 0; d < devices; ++d) list->push_back(at::make_generator<Generator>(d));
        return list;
    }();
    return all->at(static_cast<std::size_t>(device < 0 ? current_device : device));
}
inline at::Generator host_generator(const at::Generator& generator) {
    return static_cast<Generator*>(generator.unsafeGetGeneratorImpl())->host;
}

struct Hooks final : at::CUDAHooksInterface {
    explicit Hooks(at::CUDAHooksArgs) {}
    void init() const override {}
    bool hasCUDA() const override { return true; }
    bool isBuilt() const override { return true; }
    bool isAvailable() const override { return true; }
    bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
    int getNumGPUs() const override { return devices; }
    c10::DeviceIndex deviceCount() const override { return devices; }
    c10::DeviceIndex current_device() const override { return detail::current_device; }
    c10::DeviceIndex getCurrentDevice() const override { return detail::current_device; }
    void setCurrentDevice(c10::DeviceIndex device) const override { detail::current_device = device; }
    c10::DeviceIndex exchangeDevice(c10::DeviceIndex device) const override { return std::exchange(detail::current_device, device); }
    c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex device) const override { return std::exchange(detail::current_device, device); }
    void deviceSynchronize(c10::DeviceIndex device) const override { Guard().synchronizeDevice(device); }
    at::Device getDeviceFromPtr(void*) const override { return {kind, detail::current_device}; }
    at::Allocator* getCUDADeviceAllocator() const override { return &allocator(); }
    at::Allocator* getPinnedMemoryAllocator() const override { return &page_locked_allocator(); }
    bool supportsBFloat16ConvolutionWithCuDNNv8() const override { return true; }  // as GPUs since Ampere
    bool isPinnedPtr(const void* address) const override { return is_page_locked(address); }
    const at::Generator& getDefaultGenerator(c10::DeviceIndex device) const override { return default_generator(device); }
    at::Generator getNewGenerator(c10::DeviceIndex device) const override {
        return at::make_generator<Generator>(device < 0 ? detail::current_device : device);
    }
};

}  // namespace simulated::detail
