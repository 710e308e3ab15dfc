// SPDX-License-Identifier: Apache-2.0
#include <doppel/train/interrupt.hpp>

#include "support/support.hpp"

#include <csignal>

using namespace doppel;

TEST_CASE("an Interrupt notes the first signal, and gives the handlers back at its end") {
    static volatile std::sig_atomic_t seen = 0;
    const auto own = [](int signal) { seen = signal; };
    const auto before = std::signal(SIGTERM, own);
    {
        const train::Interrupt interrupt;
        CHECK(interrupt.signal() == 0);
        std::raise(SIGTERM);
        CHECK(interrupt.signal() == SIGTERM);
        const bool by_default = std::signal(SIGTERM, SIG_DFL) == SIG_DFL;
        CHECK(by_default);  // the next one ends the program
    }
    CHECK(seen == 0);
    std::raise(SIGTERM);
    CHECK(seen == SIGTERM);
    const train::Interrupt next;
    CHECK(next.signal() == 0);
    std::signal(SIGTERM, before);
}
