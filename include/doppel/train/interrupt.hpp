// SPDX-License-Identifier: Apache-2.0
// Signals during a run: Ctrl-C, SIGTERM and SIGHUP end it after the current step, SIGUSR1 asks for a checkpoint.
#pragma once

#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>

namespace doppel::train {

/// While it lives, the first SIGINT, SIGTERM or SIGHUP is only noted; a second one of the same kind does what it does by
/// default. SIGUSR1, SLURM's warning before the end of a job, is noted each time. SIGPIPE is ignored: a closed terminal
/// or pipe must not end a training. A signal that the program ignores (nohup) stays ignored. One at a time in a process.
///
///     Interrupt interrupt;
///     while (!interrupt.signal()) {
///         step();
///         if (interrupt.take_checkpoint_request()) save();
///     }
class Interrupt {
public:
    Interrupt() {
        noted() = 0;
        asked() = 0;
        for (std::size_t i = 0; i < kinds.size(); ++i) {
            before_[i] = std::signal(kinds[i], kinds[i] == SIGPIPE ? SIG_IGN : note);
            if (before_[i] == SIG_IGN) std::signal(kinds[i], SIG_IGN);
        }
    }
    ~Interrupt() {
        for (std::size_t i = 0; i < kinds.size(); ++i) std::signal(kinds[i], before_[i]);
    }
    Interrupt(const Interrupt&) = delete;
    Interrupt& operator=(const Interrupt&) = delete;

    /// SIGINT, SIGTERM or SIGHUP when one has come, else 0.
    int signal() const { return noted(); }
    /// Whether SIGUSR1 has come since the last call.
    bool take_checkpoint_request() { return asked().exchange(0) != 0; }

private:
    using Handler = void (*)(int);
    static constexpr std::array kinds{SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGPIPE};

    static std::atomic<int>& noted() {
        static std::atomic<int> value{0};
        static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may only touch lock-free atomics");
        return value;
    }
    static std::atomic<int>& asked() {
        static std::atomic<int> value{0};
        return value;
    }
    static void note(int signal) {
        if (signal == SIGUSR1) {
            asked() = 1;
            std::signal(SIGUSR1, note);
            return;
        }
        noted() = signal;
        std::signal(signal, SIG_DFL);
    }
    std::array<Handler, kinds.size()> before_{};
};

}  // namespace doppel::train
