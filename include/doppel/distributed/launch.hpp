// SPDX-License-Identifier: Apache-2.0
// Starts the processes of a run on this machine, and ends all of them when one fails.
#pragma once

#include <doppel/core/error.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

extern "C" char** environ;  // POSIX has no header for it

namespace doppel::distributed {

struct LaunchOptions {
    int processes = 2;
    double patience = 10;  ///< seconds in which the others end by themselves after one has failed; then SIGTERM
    double last_patience = 5;  ///< seconds after that; then SIGKILL
};

namespace detail {

/// Signals that came to the program that started the processes, to be passed on.
class PassedSignals {
public:
    PassedSignals() {
        for (std::size_t i = 0; i < kinds.size(); ++i) {
            noted()[i] = 0;
            before_[i] = std::signal(kinds[i], note);
            if (before_[i] == SIG_IGN) std::signal(kinds[i], SIG_IGN);  // nohup
        }
    }
    ~PassedSignals() {
        for (std::size_t i = 0; i < kinds.size(); ++i) std::signal(kinds[i], before_[i]);
    }
    PassedSignals(const PassedSignals&) = delete;
    PassedSignals& operator=(const PassedSignals&) = delete;

    /// Calls pass(signal) for each one that came since the last call.
    template <class Pass>
    void take(const Pass& pass) {
        for (std::size_t i = 0; i < kinds.size(); ++i)
            for (int left = noted()[i].exchange(0); left > 0; --left) pass(kinds[i]);
    }

private:
    static constexpr std::array kinds{SIGINT, SIGTERM, SIGHUP, SIGUSR1};
    using Noted = std::array<std::atomic<int>, kinds.size()>;
    static Noted& noted() {
        static Noted values{};
        return values;
    }
    static void note(int signal) {
        for (std::size_t i = 0; i < kinds.size(); ++i)
            if (kinds[i] == signal) ++noted()[i];
        std::signal(signal, note);
    }
    std::array<void (*)(int), kinds.size()> before_{};
};

/// A port of this machine that nobody listens to at the moment.
inline int free_port() {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    const bool found = socket >= 0 && ::bind(socket, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                       ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    const int problem = errno;
    if (socket >= 0) ::close(socket);
    require(found, "--processes: no port on 127.0.0.1 can be opened: ", std::strerror(problem));
    return ntohs(address.sin_port);
}

/// The environment of process `rank`: this program's, with torchrun's variables and an equal part of the cores.
inline std::vector<std::string> environment_of(int rank, int processes, int port) {
    std::map<std::string, std::string> all;
    for (char** item = environ; item && *item; ++item) {
        const std::string text = *item;
        const auto cut = text.find('=');
        if (cut != std::string::npos && !text.starts_with("TORCHELASTIC_")) all[text.substr(0, cut)] = text.substr(cut + 1);
    }
    const auto number = [](int value) { return std::to_string(value); };
    all["RANK"] = all["LOCAL_RANK"] = number(rank);
    all["WORLD_SIZE"] = all["LOCAL_WORLD_SIZE"] = number(processes);
    all["MASTER_ADDR"] = "127.0.0.1";
    all["MASTER_PORT"] = number(port);
    const int cores = static_cast<int>(std::thread::hardware_concurrency());
    all.try_emplace("OMP_NUM_THREADS", number(std::max(1, cores / processes)));
    std::vector<std::string> lines;
    for (const auto& [name, value] : all) lines.push_back(name + "=" + value);
    return lines;
}

inline std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> all;
    for (auto& word : words) all.push_back(word.data());
    all.push_back(nullptr);
    return all;
}

/// Starts a process in a group of its own, so that a terminal's Ctrl-C reaches it once: through this program. It gets SIGTERM
/// when this program ends, however that happens.
inline ::pid_t start(const std::string& program, std::vector<std::string> words, std::vector<std::string> environment) {
    const auto argv = pointers(words), envp = pointers(environment);
    const ::pid_t parent = ::getpid(), child = ::fork();
    require(child >= 0, "--processes: no process can be started: ", std::strerror(errno));
    if (child != 0) return child;
    // Between fork() and execve() only what a signal handler may do.
    ::setpgid(0, 0);
#ifdef __linux__
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
#endif
    if (::getppid() != parent) ::_exit(143);
    ::execve(program.c_str(), argv.data(), envp.data());
    ::_exit(127);
}

}  // namespace detail

/// This program's own file, to start it again; `name`, its argv[0], where the system does not tell.
inline std::string this_program(const std::string& name) {
    std::error_code unknown;
    const auto file = std::filesystem::read_symlink("/proc/self/exe", unknown);
    return !unknown && std::filesystem::exists(file, unknown) ? file.string() : name;
}

/// Starts `program` with `words` (argv, the name first) as each of several processes and waits for all. Each finds its place in
/// torchrun's variables (place_from_environment()), and OMP_NUM_THREADS is its part of the cores where the caller has not set it.
/// SIGINT, SIGTERM, SIGHUP and SIGUSR1 are passed on. When one fails, the others have `patience` to end with a message of their
/// own; then they are ended. Returns the exit status of the first that failed (128 + signal), else 0.
///
///     return distributed::launch(distributed::this_program(argv[0]), {argv[0], "simclr"}, {.processes = 2});
inline int launch(const std::string& program, const std::vector<std::string>& words, const LaunchOptions& options) {
    using Clock = std::chrono::steady_clock;
    const int count = options.processes;
    require(count >= 1, "--processes must be at least 1, got ", count);
    struct Process {
        ::pid_t id = 0;
        bool over = false;
        int status = 0, signal = 0;
    };
    std::vector<Process> all;
    detail::PassedSignals signals;
    const int port = detail::free_port();
    const auto send = [&](int signal) {
        for (const Process& one : all)
            if (!one.over) ::kill(one.id, signal);
    };
    try {
        for (int rank = 0; rank < count; ++rank) all.push_back({.id = detail::start(program, words, detail::environment_of(rank, count, port))});
    } catch (...) {
        send(SIGKILL);
        for (const Process& one : all) ::waitpid(one.id, nullptr, 0);
        throw;
    }
    const auto say = [&](int rank, const std::string& what) {
        std::fprintf(stderr, "process %d of %d %s\n", rank, count, what.c_str());
    };
    int first = -1, asked = 0, ended_by_us = 0;  // `asked`: a signal that was passed on
    Clock::time_point failed_at{};
    for (int left = count; left > 0;) {
        signals.take([&](int signal) {
            send(signal);
            if (signal != SIGUSR1) asked = signal;
        });
        bool changed = false;
        for (int rank = 0; rank < count; ++rank) {
            Process& one = all[static_cast<std::size_t>(rank)];
            int status = 0;
            if (one.over || ::waitpid(one.id, &status, WNOHANG) != one.id) continue;
            one.over = changed = true;
            --left;
            one.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            one.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
            if (one.status == 0 || first >= 0) continue;
            first = rank;
            failed_at = Clock::now();
            if (one.signal != 0 && one.signal != asked)
                say(rank, "was killed by signal " + std::to_string(one.signal) + (one.signal == SIGKILL ? " (out of memory?)" : ""));
        }
        if (changed) continue;
        const double since = std::chrono::duration<double>(Clock::now() - failed_at).count();
        const bool stopping = first >= 0 && all[static_cast<std::size_t>(first)].status > 128 && asked != 0;  // they write a checkpoint
        if (first >= 0 && !stopping && ended_by_us == 0 && since > options.patience) send(ended_by_us = SIGTERM);
        if (first >= 0 && !stopping && ended_by_us == SIGTERM && since > options.patience + options.last_patience) send(ended_by_us = SIGKILL);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    if (first < 0) return 0;
    const Process& failed = all[static_cast<std::size_t>(first)];
    // Process 0 has told of its own errors, and of those that others told it.
    if (failed.signal == 0 && first > 0 && asked == 0 && (all[0].status == 0 || ended_by_us != 0))
        say(first, "ended with status " + std::to_string(failed.status));
    return failed.status;
}

}  // namespace doppel::distributed
