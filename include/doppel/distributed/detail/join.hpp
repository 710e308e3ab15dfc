// SPDX-License-Identifier: Apache-2.0
// The body of join(): part of doppel::compiled.
#pragma once

#include <doppel/core/compiled.hpp>
#include <doppel/core/error.hpp>
#include <doppel/distributed/detail/backend.hpp>
#include <doppel/distributed/detail/own_address.hpp>
#include <doppel/distributed/join.hpp>
#include <doppel/distributed/monitor.hpp>
#include <doppel/distributed/reducer.hpp>

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace doppel::distributed {

namespace detail {

inline std::string shape_of(const Tensor& x) {
    std::string text = "[";
    for (const auto size : x.sizes()) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
    return text + "] " + std::string(x.dtype().name());
}

/// The calls of a group's processes through c10d.
class C10dCollectives : public Collectives {
public:
    C10dCollectives(const Place& place, at::Device device, const JoinOptions& options) : place_(place), device_(device) {
        const bool gpu = device.is_cuda();
        require(gpu || gloo_here, "several processes on a CPU speak by Gloo, and doppel was built without its headers: install the package "
                "libgloo-dev and build again");
        require(!gpu || nccl, "several processes on GPUs speak by NCCL, which this program was built without: include doppel/distributed/nccl.hpp, "
                "or link doppel::compiled built where NCCL's headers are (pip's nvidia-nccl, beside LibTorch)");
        const auto wait = std::chrono::milliseconds(static_cast<std::int64_t>(options.wait_seconds * 1000));
        const std::chrono::milliseconds forever = std::chrono::hours(24 * 7);
        const auto until = std::chrono::steady_clock::now() + std::min<std::chrono::milliseconds>(wait, std::chrono::seconds(30));
        while (!is_known(place.address)) {  // c10d would write a warning a second for as long as it waits
            require(std::chrono::steady_clock::now() < until, who(), ": there is no machine ", place.address, " (MASTER_ADDR)");
            std::this_thread::sleep_for(std::chrono::milliseconds(200));
        }
        try {
            c10d::TCPStoreOptions how;
            how.port = static_cast<std::uint16_t>(place.port);
            how.isServer = place.rank == 0 && !place.store_is_served;
            how.waitWorkers = false;
            how.timeout = wait;
            tcp_ = c10::make_intrusive<c10d::TCPStore>(place.address, how);
        } catch (const std::exception& problem) {
            fail(who(), ": cannot meet the others at ", place.address, ":", place.port, " (MASTER_ADDR, MASTER_PORT): ", first_line(problem));
        }
        const std::string prefix = "doppel/" + place.attempt;
        store_ = c10::make_intrusive<c10d::PrefixStore>(prefix, tcp_);
        roll_call(wait);
        try {
            processes_ = connected("calls", forever);
            // Buckets and the calls of a backward pass may come in another order in each process: by Gloo they have connections of
            // their own; NCCL keeps one order, that of the stream.
            gradients_ = gpu ? processes_ : connected("gradients", forever);
        } catch (const Error&) { throw; } catch (const std::exception& problem) {
            fail(who(), ": the connections between the processes cannot be made: ", first_line(problem));
        }
        monitor_ = std::make_unique<Monitor>(c10::make_intrusive<c10d::PrefixStore>(prefix + "/watch", tcp_->clone()), place.rank, place.size,
                                             Monitor::Seconds(options.patience), Monitor::Seconds(options.silence), [this, gpu] {
                                                 if (gpu) processes_->abort();
                                             });
    }

    ~C10dCollectives() override {
        if (!place_.store_is_served && monitor_->problem().empty()) monitor_->leave();
    }

    int rank() const override { return place_.rank; }
    int size() const override { return place_.size; }

    void sum(Tensor& values) override { reduce("sums", values, c10d::ReduceOp::SUM); }
    std::function<void()> begin_sum(Tensor& values) override {
        if (!values.is_contiguous()) return Collectives::begin_sum(values);
        const auto work = begin_reduce("sums", values, c10d::ReduceOp::SUM);
        return [this, work] { end(work); };
    }
    void maximum(Tensor& values) override { reduce("looks for the maximum of", values, c10d::ReduceOp::MAX); }
    void broadcast(Tensor& values, int from) override {
        const at::NoGradGuard no_grad;  // a parameter in channels-last is copied back
        if (values.numel() == 0) return;
        Tensor dense = values.contiguous();
        call("gets " + shape_of(values) + " from process " + std::to_string(from), [&] {
            std::vector<Tensor> list{dense};
            c10d::BroadcastOptions how;
            how.rootRank = from;
            return processes_->broadcast(list, how);
        });
        if (!dense.is_same(values)) values.copy_(dense);
    }
    void gather(const Tensor& mine, std::vector<Tensor>& all) override {
        const at::NoGradGuard no_grad;
        require(all.size() == static_cast<std::size_t>(size()), "gather: expected room for ", size(), " processes, got ", all.size());
        bool equal = true;
        for (const Tensor& part : all) equal = equal && part.sizes() == mine.sizes() && part.is_contiguous();
        if (equal) {
            if (mine.numel() == 0) return;
            Tensor dense = mine.contiguous();
            call("gathers " + shape_of(mine), [&] {
                std::vector<Tensor> sent{dense};
                std::vector<std::vector<Tensor>> lists{all};
                return processes_->allgather(lists, sent);
            });
            return;
        }
        all[static_cast<std::size_t>(rank())].copy_(mine);
        for (int r = 0; r < size(); ++r) broadcast(all[static_cast<std::size_t>(r)], r);
    }
    void pass_on(const Tensor& mine, Tensor& theirs) override {
        const at::NoGradGuard no_grad;
        const auto n = static_cast<std::size_t>(size()), own = static_cast<std::size_t>(rank());
        std::vector<std::int64_t> sends(n, 0), receives(n, 0);
        sends[(own + 1) % n] = mine.numel();
        receives[(own + n - 1) % n] = theirs.numel();
        Tensor sent = mine.contiguous().view(-1), received = at::empty({theirs.numel()}, sent.options());
        monitor_->begins("passes " + std::string(mine.dtype().name()) + " on around the ring");
        // Not send() and recv(): Gloo closes the connection when one of them is waited for with a time limit that passes.
        try {
            finish(processes_->alltoall_base(received, sent, receives, sends));
        } catch (const Error&) { throw; } catch (const std::exception& problem) { lost(problem); }
        monitor_->ends();
        theirs.copy_(received.view(theirs.sizes()));
    }
    std::vector<std::string> texts(const std::string& mine) override {
        const at::NoGradGuard no_grad;
        const auto n = static_cast<std::size_t>(size());
        std::vector<Tensor> lengths(n), parts(n);
        for (Tensor& one : lengths) one = at::empty({1}, at::TensorOptions(device_).dtype(at::kLong));
        gather(at::full({1}, static_cast<std::int64_t>(mine.size()), at::TensorOptions(device_).dtype(at::kLong)), lengths);
        for (std::size_t r = 0; r < n; ++r) parts[r] = at::empty({lengths[r].item<std::int64_t>()}, at::TensorOptions(device_).dtype(at::kByte));
        Tensor own = at::empty({static_cast<std::int64_t>(mine.size())}, at::kByte);
        std::memcpy(own.mutable_data_ptr(), mine.data(), mine.size());
        own = own.to(device_);
        parts[static_cast<std::size_t>(rank())] = own;
        for (int r = 0; r < size(); ++r) broadcast(parts[static_cast<std::size_t>(r)], r);
        std::vector<std::string> all;
        for (const Tensor& part : parts) {
            const Tensor here = part.cpu();
            all.emplace_back(static_cast<const char*>(here.const_data_ptr()), static_cast<std::size_t>(here.numel()));
        }
        return all;
    }

    std::unique_ptr<GradientAverage> gradient_average(std::vector<std::pair<std::string, Tensor>> parameters,
                                                      const GradientAverageOptions& options) override {
        return std::make_unique<Reducer>(gradients_, std::move(parameters), options, [this](bool begins) {
            if (begins) monitor_->begins("averages gradients");
            else monitor_->ends();
        });
    }

    void give_up(const std::string& why) override { monitor_->give_up(why); }
    std::string explained(const std::string& problem) override { return monitor_->reason(problem); }

private:
    std::string who() const { return "process " + std::to_string(place_.rank) + " of " + std::to_string(place_.size); }
    static std::string first_line(const std::exception& problem) {
        const std::string text = problem.what();
        return text.substr(0, text.find('\n'));
    }

    c10::intrusive_ptr<c10d::ProcessGroup> connected(const std::string& purpose, std::chrono::milliseconds limit) {
        const bool gpu = device_.is_cuda();
        const bool one_machine = place_.address == "127.0.0.1" || place_.address == "localhost" || place_.local_size == place_.size;
        const auto own = c10::make_intrusive<c10d::PrefixStore>(purpose, store_);
        auto group = c10::make_intrusive<c10d::ProcessGroup>(own, place_.rank, place_.size);
        const auto kind = gpu ? c10d::ProcessGroup::BackendType::NCCL : c10d::ProcessGroup::BackendType::GLOO;
        group->setBackend(device_.type(), kind,
                          (gpu ? nccl : gloo_here)(own, place_.rank, place_.size, device_.index(),
                                                   one_machine ? "127.0.0.1" : own_address_towards(place_.address, place_.port), limit));
        group->setDefaultBackend(kind);
        return group;
    }

    /// Waits until all are there.
    void roll_call(std::chrono::milliseconds wait) {
        const auto until = std::chrono::steady_clock::now() + wait;
        store_->set("here/" + std::to_string(place_.rank), std::vector<std::uint8_t>{1});
        for (int r = 0; r < place_.size; ++r)
            while (!store_->check({"here/" + std::to_string(r)})) {
                if (std::chrono::steady_clock::now() > until)
                    fail(who(), ": process ", r, " has not come within ", std::chrono::duration_cast<std::chrono::seconds>(wait).count(),
                         " seconds; see what it says, and whether it reaches ", place_.address, ":", place_.port);
                std::this_thread::sleep_for(std::chrono::milliseconds(20));
            }
    }

    void reduce(const char* what, Tensor& values, c10d::ReduceOp how) {
        const at::NoGradGuard no_grad;
        if (values.numel() == 0) return;
        Tensor dense = values.contiguous();
        end(begin_reduce(what, dense, how));
        if (!dense.is_same(values)) values.copy_(dense);
    }
    c10::intrusive_ptr<c10d::Work> begin_reduce(const char* what, Tensor& dense, c10d::ReduceOp how) {
        return begin(std::string(what) + " " + shape_of(dense), [&] {
            std::vector<Tensor> list{dense};
            c10d::AllreduceOptions options;
            options.reduceOp = how;
            return processes_->allreduce(list, options);
        });
    }

    template <class Start>
    c10::intrusive_ptr<c10d::Work> begin(const std::string& what, Start&& start) {
        monitor_->begins(what);
        if (device_.is_cpu() && compared_ < 200) compare(what);
        try {
            return start();
        } catch (const std::exception& problem) { lost(problem); }
    }
    void end(const c10::intrusive_ptr<c10d::Work>& work) {
        finish(work);
        monitor_->ends();
    }
    template <class Start>
    void call(const std::string& what, Start&& start) {
        end(begin(what, start));
    }

    /// Gloo ends the program where sizes differ: so the first two hundred calls, which are some steps, are compared beforehand.
    void compare(const std::string& what) {
        Tensor mine = at::full({1}, static_cast<std::int64_t>(std::hash<std::string>{}(what) >> 1), at::kLong);
        std::vector<Tensor> sent{mine}, all;
        for (int r = 0; r < size(); ++r) all.push_back(at::full({1}, 0, at::kLong));
        std::vector<std::vector<Tensor>> lists{all};
        try {
            finish(processes_->allgather(lists, sent));
        } catch (const Error&) { throw; } catch (const std::exception& problem) { lost(problem); }
        ++compared_;
        for (const Tensor& one : all)
            if (!at::equal(one, mine)) fail(monitor_->reason(who() + " makes another call than the others: it " + what));
    }

    /// Waits for a call; on a GPU its stream does.
    void finish(const c10::intrusive_ptr<c10d::Work>& work) {
        if (!work) return;
        if (device_.is_cuda()) {
            try {
                work->wait();
            } catch (const std::exception& problem) { lost(problem); }
            return;
        }
        for (;;) try {
                work->wait(std::chrono::milliseconds(250));
                return;
            } catch (const std::exception&) {
                if (const auto known = monitor_->problem(); !known.empty()) monitor_->ends(), fail(known);
                if (!work->isCompleted()) continue;  // it takes longer
                try {
                    work->wait();  // throws its own error, if it has one: it may have come right after the time limit
                    return;
                } catch (const std::exception& own) { lost(own); }
            }
    }
    [[noreturn]] void lost(const std::exception& problem) {
        fail(monitor_->reason(who() + " has lost the connection to another process: " + first_line(problem)));
    }

    Place place_;
    at::Device device_;
    int compared_ = 0;
    c10::intrusive_ptr<c10d::TCPStore> tcp_;
    c10::intrusive_ptr<c10d::Store> store_;
    c10::intrusive_ptr<c10d::ProcessGroup> processes_, gradients_;
    std::unique_ptr<Monitor> monitor_;
};

}  // namespace detail

DOPPEL_BODY Group join(const std::optional<Place>& place, at::Device device, const JoinOptions& options) {
    if (!place || place->size == 1) return {};
    return Group(std::make_shared<detail::C10dCollectives>(*place, device, options));
}

}  // namespace doppel::distributed
