// SPDX-License-Identifier: Apache-2.0
// A disk that gets full.
#pragma once

#include <sys/resource.h>

#include <csignal>

namespace doppel::test {

/// While it lives, no file of this process can grow beyond `bytes`: a full disk, as far as a writer can tell.
class SmallDisk {
public:
    explicit SmallDisk(rlim_t bytes) : signal_(std::signal(SIGXFSZ, SIG_IGN)) {
        ::getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit limit{bytes, before_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    ~SmallDisk() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, signal_);
    }

private:
    rlimit before_{};
    void (*signal_)(int);
};

}  // namespace doppel::test
