// SPDX-License-Identifier: Apache-2.0
// Real processes of a run on this machine, made by fork().
#pragma once

#include <doppel/distributed/launch.hpp>
#include <doppel/distributed/place.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace doppel::test {

/// How a process ended: what it said (returned, or threw), and its signal.
struct ProcessEnd {
    std::string said{};
    bool threw = false;
    int signal = 0;
};

/// Runs body(place) → text in `size` processes.
template <class Body>
std::vector<ProcessEnd> forked(int size, Body&& body) {
    const int port = distributed::detail::free_port();
    std::vector<std::pair<pid_t, int>> children;
    for (int rank = 0; rank < size; ++rank) {
        int ends[2];
        if (::pipe(ends) != 0) std::abort();
        const pid_t child = ::fork();
        if (child == 0) {
            ::close(ends[0]);
            std::string said;
            bool threw = false;
            try {
                said = body(distributed::Place{.rank = rank, .size = size, .local_rank = rank, .local_size = size, .port = port});
            } catch (const std::exception& problem) {
                said = problem.what();
                threw = true;
            }
            for (std::size_t at = 0; at < said.size();) {
                const auto written = ::write(ends[1], said.data() + at, said.size() - at);
                if (written <= 0) break;
                at += static_cast<std::size_t>(written);
            }
            ::_exit(threw ? 1 : 0);
        }
        ::close(ends[1]);
        children.emplace_back(child, ends[0]);
    }
    std::vector<ProcessEnd> all;
    for (const auto& [child, end] : children) {
        ProcessEnd one;
        char buffer[4096];
        for (ssize_t n; (n = ::read(end, buffer, sizeof buffer)) > 0;) one.said.append(buffer, static_cast<std::size_t>(n));
        ::close(end);
        int status = 0;
        ::waitpid(child, &status, 0);
        one.threw = WIFEXITED(status) && WEXITSTATUS(status) != 0;
        one.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        all.push_back(std::move(one));
    }
    return all;
}

}  // namespace doppel::test
