// SPDX-License-Identifier: Apache-2.0
// Copies between host and device. An asynchronous one is made as late as CUDA allows: into the device when a kernel uses the
// memory, into the host when the host has waited for it.
#pragma once

#include "simulated_device/device/memory.hpp"

#include <ATen/ATen.h>

namespace simulated::detail {

inline bool on_device(const at::Tensor& t) { return t.defined() && t.device().type() == kind; }

/// CPU tensors on the memory of device tensors; those that share a storage share it there too.
class Aliases {
public:
    at::Tensor of(const at::Tensor& t) {
        auto* own = t.storage().unsafeGetStorageImpl();
        auto found = storages_.find(own);
        if (found == storages_.end()) {
            auto* keep = new c10::Storage(t.storage());
            c10::DataPtr data(keep->mutable_data(), keep, [](void* k) { delete static_cast<c10::Storage*>(k); }, at::kCPU);
            found = storages_.emplace(own, c10::Storage(c10::make_intrusive<c10::StorageImpl>(
                c10::StorageImpl::use_byte_size_t(), own->nbytes(), std::move(data), nullptr, false))).first;
        }
        auto alias = at::detail::make_tensor<c10::TensorImpl>(c10::Storage(found->second), c10::DispatchKeySet(c10::DispatchKey::CPU), t.dtype());
        alias.unsafeGetTensorImpl()->set_sizes_and_strides(t.sizes(), t.strides(), t.storage_offset());
        return alias;
    }
    std::vector<const void*> addresses() const {
        std::vector<const void*> all;
        for (const auto& [own, storage] : storages_) all.push_back(storage.data());
        return all;
    }

private:
    std::map<c10::StorageImpl*, c10::Storage> storages_;
};

/// A copy that is on its way, or whose page-locked source the device may still read.
struct Copy {
    at::Tensor to, from;                        ///< on the CPU
    c10::Storage keep{};                        ///< on the host
    const void* device_memory = nullptr;
    bool down = false, made = false;
    std::vector<char> seen{};                   ///< up: the source when the copy was asked for
    const char* source = nullptr;               ///< up: where that is
    Place place = 0;
    std::uint64_t time = 0;
};
inline std::vector<Copy>& copies() {
    static auto* copies = new std::vector<Copy>;
    return *copies;
}

inline void check_source(Copy& copy) {
    if (copy.seen.empty() || std::memcmp(copy.seen.data(), copy.source, copy.seen.size()) == 0) return;
    copy.seen.clear();
    note({.what = What::race, .op = "copy_", .why = "the host writes page-locked memory that a copy may still read"});
}
inline void make(Copy& copy) {
    if (std::exchange(copy.made, true)) return;
    check_source(copy);
    const at::AutoDispatchBelowADInplaceOrView below;
    const Open open({copy.device_memory});
    copy.to.copy_(copy.from);
    copy.to = copy.from = at::Tensor();  // a stream keeps no memory of the device
}
/// Before a kernel uses device memory: the copies into it.
inline void settle(const std::vector<const void*>& addresses) {
    const auto guard = lock();
    for (Copy& copy : copies())
        if (!copy.down && std::find(addresses.begin(), addresses.end(), copy.device_memory) != addresses.end()) make(copy);
}
inline void settle_before_free(const void* start) { settle({start}); }

/// The host has waited: what it knows now is done, and sources are free again.
inline void host_learns(const Clock& clock) {
    std::vector<Copy> done;  // storages are freed without the lock
    const auto guard = lock();
    join(state().host, clock);
    auto& all = copies();
    for (auto copy = all.begin(); copy != all.end();)
        if (knows(state().host, copy->place, copy->time)) {
            make(*copy);
            check_source(*copy);
            done.push_back(std::move(*copy));
            copy = all.erase(copy);
        } else {
            ++copy;
        }
}
inline void host_waits_for(Place place) {
    const auto guard = lock();
    host_learns(state().streams[place]);
}
inline void host_waits_for_all() {
    const auto guard = lock();
    for (const auto& [place, clock] : state().streams) host_learns(clock);
}

/// Whether two tensors of one shape lie in memory alike.
inline bool same_layout(const at::Tensor& a, const at::Tensor& b) {
    if (a.sizes() != b.sizes() || !a.is_non_overlapping_and_dense() || !b.is_non_overlapping_and_dense()) return false;
    for (std::int64_t d = 0; d < a.dim(); ++d)
        if (a.size(d) != 1 && a.stride(d) != b.stride(d)) return false;
    return true;
}

inline at::Tensor& copy_(at::Tensor& self, const at::Tensor& source, bool non_blocking) {
    if (self.is_same(source)) return self;
    const bool up = on_device(self) && !on_device(source), down = !on_device(self) && on_device(source);
    if (up || down) forbid_in_capture("a copy between host and device");
    if (recording())
        recording()->work.push_back([self, source, non_blocking] {
            at::Tensor to = self;
            copy_(to, source, non_blocking);
        });
    const at::Tensor expanded = source.expand(self.sizes());
    Aliases aliases;
    const at::Tensor to = on_device(self) ? aliases.of(self) : self, from = on_device(source) ? aliases.of(expanded) : expanded;
    const auto addresses = aliases.addresses();
    settle(addresses);
    const Place place = current_place((on_device(self) ? self : source).device().index());
    Clock clock = next_on(place);
    if (on_device(self) && on_device(source) && self.device() != source.device()) {  // CUDA lets both streams wait
        const auto guard = lock();
        join(clock, next_on(current_place(source.device().index())));
        join(state().streams[place], clock);
    }
    using Memories = std::vector<const void*>;
    touch("copy_", place, clock, on_device(source) ? Memories{source.storage().data()} : Memories{},
          on_device(self) ? Memories{self.storage().data()} : Memories{});
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto copy_now = [&] {
        const Open open(addresses);
        to.copy_(from);
    };
    if (!up && !down) {
        Note launch{.op = "copy_"};
        if (state().settings.details) launch.shapes = c10::str(self.sizes(), '@', self.storage_offset(), source.sizes(), '@', source.storage_offset());
        note(std::move(launch));
        copy_now();
        return self;
    }
    const std::string op = up ? "copy to the device" : "copy from the device";
    const std::int64_t bytes = up ? static_cast<std::int64_t>(self.nbytes()) : 0;
    const at::Tensor& on_host = up ? source : self;
    // Of another type or layout, CUDA converts on one side first, in memory that is not page-locked.
    const bool asynchronous = on_host.numel() == 0 || (is_page_locked(on_host.storage().data()) &&
                                                            self.scalar_type() == source.scalar_type() && same_layout(self, expanded));
    if (!non_blocking || (down && !asynchronous)) {
        note({.what = What::wait, .op = op, .why = non_blocking ? "into memory that is not page-locked" : "blocking", .bytes_sent = bytes});
        host_waits_for(place);
        copy_now();
    } else if (!asynchronous) {
        note({.what = What::pageable, .op = op, .why = is_page_locked(on_host.storage().data()) ? "of another type or layout" : "from memory that is not page-locked", .bytes_sent = bytes});
        copy_now();
    } else {
        note({.what = What::copy, .op = op, .bytes_sent = bytes});
        Copy copy{.to = to, .from = from, .keep = on_host.storage(), .device_memory = addresses.empty() ? nullptr : addresses[0],
                  .down = down, .place = place, .time = clock.at(place)};
        if (up) {
            for (Copy& earlier : copies())  // the same memory, in the order of the stream
                if (earlier.down && earlier.to.storage().data() == source.storage().data() && knows(clock, earlier.place, earlier.time)) make(earlier);
            copy.source = static_cast<const char*>(from.const_data_ptr());
            copy.seen.assign(copy.source, copy.source + bytes);
        } else {  // the host sees the value of now, later
            const Open open(addresses);
            copy.from = from.clone();
            std::memset(to.data_ptr(), 0xFF, to.nbytes());
        }
        const auto guard = lock();
        copies().push_back(std::move(copy));
    }
    return self;
}

inline at::Scalar read_value(const at::Tensor& self) {
    forbid_in_capture("the host reads a value back");
    note({.what = What::wait, .op = "item", .why = "reads a value back"});
    Aliases aliases;
    const at::Tensor value = aliases.of(self);
    settle(aliases.addresses());
    const Place place = current_place(self.device().index());
    touch("item", place, next_on(place), {self.storage().data()}, {});
    host_waits_for(place);
    const Open open(aliases.addresses());
    return value.item();
}

}  // namespace simulated::detail
