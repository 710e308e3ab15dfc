// SPDX-License-Identifier: Apache-2.0
// Ctrl-C and SIGTERM end a run after the current step, with a checkpoint.
#pragma once

#include <atomic>
#include <csignal>

namespace doppel::train {

/// While it lives, the first SIGINT or SIGTERM is only noted; the second one does what it does by default.
/// One at a time in a process.
///
///     const Interrupt interrupt;
///     while (!interrupt.signal()) step();
class Interrupt {
public:
    Interrupt() {
        noted() = 0;
        before_int_ = std::signal(SIGINT, note);
        before_term_ = std::signal(SIGTERM, note);
    }
    ~Interrupt() {
        std::signal(SIGINT, before_int_);
        std::signal(SIGTERM, before_term_);
    }
    Interrupt(const Interrupt&) = delete;
    Interrupt& operator=(const Interrupt&) = delete;

    /// SIGINT or SIGTERM when one has come, else 0.
    int signal() const { return noted(); }

private:
    using Handler = void (*)(int);
    static std::atomic<int>& noted() {
        static std::atomic<int> value{0};
        static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may only touch lock-free atomics");
        return value;
    }
    static void note(int signal) {
        noted() = signal;
        std::signal(signal, SIG_DFL);
    }
    Handler before_int_, before_term_;
};

}  // namespace doppel::train
