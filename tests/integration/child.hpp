// SPDX-License-Identifier: Apache-2.0
// Runs a program as a user's shell would: arguments in; exit status, signal and text out.
#pragma once

#include "support/support.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace doppel::test {

struct Ended {
    int status = -1;  ///< exit status; -1 when a signal ended it
    int signal = 0;   ///< that signal
    std::string text; ///< what it wrote to both outputs
};

struct ChildOptions {
    std::uint64_t largest_file = 0;  ///< bytes that a file may have (a full disk); 0: no limit
};

/// A running program.
class Child {
public:
    explicit Child(std::vector<std::string> arguments, ChildOptions options = {}) : file_(std::tmpfile()), output_(::fileno(file_)) {
        std::vector<char*> argv;
        for (auto& argument : arguments) argv.push_back(argument.data());
        argv.push_back(nullptr);
        id_ = ::fork();
        if (id_ != 0) return;
        ::dup2(output_, 1);
        ::dup2(output_, 2);
        ::close(0);
        if (options.largest_file > 0) {
            std::signal(SIGXFSZ, SIG_IGN);  // writes then fail with a reason, as on a full disk
            const rlimit limit{options.largest_file, options.largest_file};
            ::setrlimit(RLIMIT_FSIZE, &limit);
        }
        ::setenv("OMP_NUM_THREADS", "1", 1);
        ::execv(argv[0], argv.data());
        ::_exit(127);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child() {
        if (!ended_) signal(SIGKILL), wait();
        std::fclose(file_);
    }

    void signal(int which) const { ::kill(id_, which); }

    /// True when it has ended.
    bool ended() {
        if (!ended_) ended_ = ::waitpid(id_, &status_, WNOHANG) == id_;
        return ended_;
    }

    Ended wait() {
        if (!ended_) ended_ = ::waitpid(id_, &status_, 0) == id_;
        Ended result;
        if (WIFEXITED(status_)) result.status = WEXITSTATUS(status_);
        if (WIFSIGNALED(status_)) result.signal = WTERMSIG(status_);
        result.text = text();
        return result;
    }

    /// What it has written so far.
    std::string text() const {
        std::string all(static_cast<std::size_t>(::lseek(output_, 0, SEEK_END)), '\0');
        const auto got = ::pread(output_, all.data(), all.size(), 0);
        all.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
        return all;
    }

    /// Waits until `holds` or the end; false when it ended, or after `seconds`.
    bool until(const std::function<bool()>& holds, double seconds = 60) {
        for (int i = 0; i < static_cast<int>(seconds * 500); ++i) {
            if (holds()) return true;
            if (ended()) return false;
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        return false;
    }

private:
    std::FILE* file_;
    int output_, status_ = 0;
    ::pid_t id_ = 0;
    bool ended_ = false;
};

inline Ended run(std::vector<std::string> arguments, ChildOptions options = {}) {
    return Child(std::move(arguments), options).wait();
}

/// Tells when a file is made in a folder: the moment in which a checkpoint begins to be written.
class FolderWatch {
public:
    explicit FolderWatch(const std::filesystem::path& folder) : queue_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
        ::inotify_add_watch(queue_, folder.c_str(), IN_CREATE);
    }
    ~FolderWatch() { ::close(queue_); }
    FolderWatch(const FolderWatch&) = delete;
    FolderWatch& operator=(const FolderWatch&) = delete;

    /// Waits for a new file.
    bool made(double seconds) const {
        pollfd wanted{queue_, POLLIN, 0};
        return ::poll(&wanted, 1, static_cast<int>(seconds * 1000)) > 0;
    }

private:
    int queue_;
};

/// SimCLR of the training program on a few small embedded images: a run of some seconds, most of it start-up.
inline std::vector<std::string> small_run(const std::filesystem::path& out, std::vector<std::string> more = {}) {
    std::vector<std::string> all{DOPPEL_PROGRAM, "simclr", "--images", "48", "--size", "12", "--arch", "resnet18x0.125", "--hidden",
                                 "16", "--out-dim", "8", "--epochs", "2", "--batch-size", "16", "--log-every", "1",
                                 "--device", "cpu", "--out", out.string()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

}  // namespace doppel::test
