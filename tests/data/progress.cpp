// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/progress.hpp>

#include "support/support.hpp"

using namespace doppel;

TEST_CASE("a long search writes a line each time that its seconds have passed, and makes no text before") {
    std::vector<std::string> lines;
    int made = 0;
    const auto tick = [&](double seconds, bool heard) {
        lines.clear();
        made = 0;
        data::Progress progress{.seconds = seconds};
        if (heard) progress.say = [&](const std::string& line) { lines.push_back(line); };
        data::detail::Ticker ticker(progress);
        for (int i = 0; i < 3; ++i) ticker.tick([&] { return std::to_string(++made); });
    };
    tick(0, true);
    CHECK(lines == std::vector<std::string>{"1", "2", "3"});
    tick(3600, true);
    CHECK(lines.empty());
    CHECK(made == 0);
    tick(0, false);
    CHECK(made == 0);
}
