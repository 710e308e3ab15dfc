// SPDX-License-Identifier: Apache-2.0
// Watches the processes of a run: which ones live, who failed and why, and who waits for a call that the others do not make.
#pragma once

#include <doppel/core/tensor.hpp>

#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace doppel::distributed {

/// A thread that tells the store twice a second that this process lives, and looks there what the others say. What ends the run is
/// told to all: the error of a process that gave up; processes that wait in different calls for longer than `patience`; one that
/// has not answered for `silence`. A process that is still in a call eight seconds later (the exchange of gradients cannot be
/// interrupted) is ended with the reason on stderr.
class Monitor {
public:
    using Seconds = std::chrono::duration<double>;

    /// `store`: a connection of its own. `on_problem`: called once, in the thread, when the run has to end.
    Monitor(c10::intrusive_ptr<c10d::Store> store, int rank, int size, Seconds patience, Seconds silence, std::function<void()> on_problem)
        : store_(std::move(store)), rank_(rank), size_(size), patience_(patience), silence_(silence), on_problem_(std::move(on_problem)),
          seen_(static_cast<std::size_t>(size)), thread_([this] { watch(); }) {}
    ~Monitor() {
        {
            const std::lock_guard lock(mutex_);
            stop_ = true;
        }
        wake_.notify_all();
        thread_.join();
    }
    Monitor(const Monitor&) = delete;
    Monitor& operator=(const Monitor&) = delete;

    /// This process begins a call.
    void begins(std::string call) {
        const std::lock_guard lock(mutex_);
        call_ = std::move(call);
        ++number_;
        waits_ = true;
        since_ = Clock::now();
    }
    void ends() {
        const std::lock_guard lock(mutex_);
        waits_ = false;
    }

    /// Why the run has to end; empty: it has not.
    std::string problem() {
        const std::lock_guard lock(mutex_);
        return problem_;
    }
    /// After a call that failed: the reason, which may be seconds away; `otherwise` if nobody gives one.
    std::string reason(const std::string& otherwise) {
        std::unique_lock lock(mutex_);
        asked_ = true;
        wake_.notify_all();
        told_.wait_for(lock, std::chrono::seconds(6), [&] { return !problem_.empty(); });
        waits_ = false;
        return problem_.empty() ? otherwise : problem_;
    }
    /// This process ends by an error of its own: the others are told.
    void give_up(const std::string& why) {
        const std::lock_guard lock(mutex_);
        if (problem_.empty()) announce("process " + std::to_string(rank_) + " of " + std::to_string(size_) + " ended: " + why);
    }

    /// This process has ended its part. The first, which serves the store, waits up to five seconds until all have.
    void leave() {
        try {
            const std::lock_guard lock(mutex_);
            left_ = true;
            store_->set(key("alive", rank_), bytes("ended"));
            for (int tries = 0; rank_ == 0 && tries < 100; ++tries) {
                bool all = true;
                for (int r = 1; r < size_ && all; ++r) all = read(key("alive", r)) == "ended";
                if (all) return;
                std::this_thread::sleep_for(std::chrono::milliseconds(50));
            }
        } catch (const std::exception&) {}
    }

private:
    using Clock = std::chrono::steady_clock;
    struct Seen {
        std::string pulse{};
        Clock::time_point at{};
    };

    static std::vector<std::uint8_t> bytes(const std::string& text) { return {text.begin(), text.end()}; }
    std::string key(const char* what, int rank) const { return std::string(what) + "/" + std::to_string(rank); }
    std::string read(const std::string& name) {
        if (!store_->check({name})) return {};
        const auto value = store_->get(name);
        return {value.begin(), value.end()};
    }
    /// The first announcement counts. Under the lock.
    void announce(const std::string& why) {
        try {
            const auto now = store_->compareSet("failed", {}, bytes(why));
            problem_ = std::string(now.begin(), now.end());
        } catch (const std::exception&) { problem_ = why; }
        if (problem_.empty()) problem_ = why;
        told_.notify_all();
    }

    void watch() {
        std::unique_lock lock(mutex_);
        bool acted = false;
        for (std::int64_t pulse = 1; !stop_; ++pulse) {
            try {
                if (!left_) store_->set(key("alive", rank_), bytes(std::to_string(pulse)));
                if (problem_.empty()) look();
                lost_ = 0;
            } catch (const std::exception&) {
                if ((waits_ || asked_) && ++lost_ >= 3 && problem_.empty()) {
                    problem_ = "process 0 of " + std::to_string(size_) + ", or the program that started all, ended without a word: nobody answers where they meet";
                    told_.notify_all();
                }
            }
            if (!problem_.empty() && !std::exchange(acted, true)) {
                lock.unlock();
                on_problem_();
                lock.lock();
            }
            if (problem_.empty()) known_ = Clock::now();
            if (waits_ && Clock::now() - known_ > std::chrono::seconds(8)) {  // in a call that cannot be interrupted
                std::fprintf(stderr, "%s\n", problem_.c_str());
                std::_Exit(1);
            }
            wake_.wait_for(lock, std::chrono::milliseconds(asked_ && problem_.empty() ? 250 : 500), [this] { return stop_; });
        }
        try {
            store_->set(key("alive", rank_), bytes("ended"));
        } catch (const std::exception&) {}
    }

    void look() {
        if (const std::string failed = read("failed"); !failed.empty()) {
            problem_ = failed;
            told_.notify_all();
            return;
        }
        const auto now = Clock::now();
        if (!asked_ && !(waits_ && now - since_ > patience_)) return;
        const std::string own = std::to_string(number_) + "\n" + call_;
        store_->set(key("call", rank_), bytes(own));
        for (int r = 0; r < size_; ++r) {
            if (r == rank_) continue;
            const std::string other = read(key("call", r)), pulse = read(key("alive", r));
            const auto cut = other.find('\n');
            const std::string here = std::to_string(rank_), there = std::to_string(r);
            if (cut != std::string::npos && other.substr(0, cut) == std::to_string(number_) && other.substr(cut + 1) != call_)
                return announce("the processes make different calls (number " + std::to_string(number_) + "): process " + here + " " + call_ +
                                ", process " + there + " " + other.substr(cut + 1));
            if (pulse == "ended")
                return announce("process " + there + " of " + std::to_string(size_) + " has ended, while process " + here + " waits for it: " + call_);
            Seen& seen = seen_[static_cast<std::size_t>(r)];
            if (pulse != seen.pulse || seen.at == Clock::time_point{}) seen = {pulse, now};
            // After a lost connection two seconds without a pulse are enough.
            if (now - seen.at > (asked_ ? Seconds(2) : silence_))
                return announce("process " + there + " of " + std::to_string(size_) + " ended without a word (killed, or out of memory?)");
        }
    }

    c10::intrusive_ptr<c10d::Store> store_;
    int rank_, size_;
    Seconds patience_, silence_;
    std::function<void()> on_problem_;
    std::mutex mutex_;
    std::condition_variable wake_, told_;
    std::string call_, problem_;
    std::int64_t number_ = 0;
    bool waits_ = false, asked_ = false, stop_ = false, left_ = false;
    int lost_ = 0;
    Clock::time_point since_{}, known_{};
    std::vector<Seen> seen_;
    std::thread thread_;  // last: it uses all of them
};

}  // namespace doppel::distributed
