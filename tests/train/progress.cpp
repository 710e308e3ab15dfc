// SPDX-License-Identifier: Apache-2.0
#include <doppel/train/progress.hpp>

#include "support/support.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <sstream>

using namespace doppel;
using test::mentions;
using test::message_of;
using train::duration_text;

namespace {

/// A progress display over a file that can be read back, with a clock that stands until it is moved.
struct Display {
    explicit Display(train::ProgressOptions options) {
        options.out = file.get();
        options.clock = [this] { return now; };
        progress = std::make_unique<train::Progress>(options);
    }

    void wait(double seconds) {
        now += std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(seconds));
    }

    std::string text() const {
        std::string all(1 << 20, '\0');
        std::rewind(file.get());
        all.resize(std::fread(all.data(), 1, all.size(), file.get()));
        std::fseek(file.get(), 0, SEEK_END);
        return all;
    }

    struct Close {
        void operator()(std::FILE* open) const { std::fclose(open); }
    };
    std::unique_ptr<std::FILE, Close> file{std::tmpfile()};
    std::chrono::steady_clock::time_point now{};
    std::unique_ptr<train::Progress> progress;
};

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

/// What a terminal shows of one drawing: between the carriage return and the "clear to the end".
std::vector<std::string> drawings_of(const std::string& text) {
    std::vector<std::string> drawings;
    for (std::size_t at = 0; (at = text.find('\r', at)) != std::string::npos; ++at)
        if (const auto drawn = text.substr(at + 1, text.find("\x1b[K", at) - at - 1); !drawn.empty())
            drawings.push_back(drawn);
    return drawings;
}

}  // namespace

TEST_CASE("Durations read as people say them") {
    CHECK(duration_text(0) == "0 s");
    CHECK(duration_text(45.4) == "45 s");
    CHECK(duration_text(59.6) == "1 min 00 s");
    CHECK(duration_text(200) == "3 min 20 s");
    CHECK(duration_text(3599.4) == "59 min 59 s");
    CHECK(duration_text(3720) == "1 h 02 min");
    CHECK(duration_text(100 * 3600) == "100 h 00 min");
    CHECK(duration_text(-3) == "0 s");
    CHECK(duration_text(INFINITY) == "277777777 h 46 min");  // 1e12 s, the most that is shown
}

TEST_CASE("Plain lines come every ten seconds and at the end of each epoch, without control characters") {
    Display display({.epochs = 2, .steps_per_epoch = 100, .mode = train::ProgressMode::lines});
    for (int step = 1; step <= 200; ++step) {
        display.wait(0.25);
        display.progress->update(step, 5.0 - 0.01 * step, 64 * step);
    }
    display.progress->finish();
    display.progress->finish();
    const auto lines = lines_of(display.text());
    // 10 s, 20 s, 25 s (epoch 1), 35 s, 45 s, 50 s (epoch 2), the end
    REQUIRE(lines.size() == 7);
    CHECK(lines[0] == "epoch 1/2  step 40/200  loss 4.6000  256 images/s  40 s left");
    CHECK(lines[2] == "epoch 1/2  step 100/200  loss 4.0000  256 images/s  25 s left");
    CHECK(lines[3] == "epoch 2/2  step 140/200  loss 3.6000  256 images/s  15 s left");
    CHECK(lines[5] == "epoch 2/2  step 200/200  loss 3.0000  256 images/s  0 s left");
    CHECK(lines[6] == "epoch 2/2  step 200/200  loss 3.0000  256 images/s  in 50 s");
    CHECK(display.text().find('\r') == std::string::npos);
    CHECK(display.text().find('\x1b') == std::string::npos);
}

TEST_CASE("A file is not a terminal") {
    Display display({.epochs = 1, .steps_per_epoch = 1});
    display.wait(1);
    display.progress->update(1, 0.5, 8);
    CHECK(display.text() == "epoch 1/1  step 1/1  loss 0.5000  8.0 images/s  0 s left\n");
}

TEST_CASE("The bar redraws one line, at most ten times a second, no wider than the terminal") {
    for (const int width : {5, 12, 20, 30, 40, 60, 80, 100, 200}) {
        Display display({.epochs = 10, .steps_per_epoch = 100, .mode = train::ProgressMode::bar, .width = width});
        for (int step = 1; step <= 1000; ++step) {
            display.wait(0.01);
            display.progress->update(step, 4.5, 64 * step);
        }
        const auto drawings = drawings_of(display.text());
        CHECK(drawings.size() >= 90);
        CHECK(drawings.size() <= 120);
        for (const auto& drawing : drawings) CHECK(drawing.size() < static_cast<std::size_t>(width));
        CHECK(display.text().find('\n') == std::string::npos);
    }
    Display display({.epochs = 10, .steps_per_epoch = 100, .mode = train::ProgressMode::bar, .width = 120});
    display.wait(5);
    display.progress->update(500, 4.5, 5000);
    const auto drawings = drawings_of(display.text());
    REQUIRE(drawings.size() == 1);
    CHECK(drawings[0] ==
          "epoch 5/10 [===============               ]  50%  step 500/1000  loss 4.5000  1000 images/s  5 s left");
}

TEST_CASE("A note stands on its own line and the bar comes back below it") {
    Display display({.epochs = 1, .steps_per_epoch = 10, .mode = train::ProgressMode::bar, .width = 80});
    display.progress->note("before the bar");
    display.wait(1);
    display.progress->update(5, 1, 5);
    display.progress->note("saved out/checkpoints/5");
    display.progress->finish();
    const auto text = display.text();
    CHECK(mentions(text, {"before the bar\n\repoch", "\x1b[K\r\x1b[Ksaved out/checkpoints/5\n\repoch", "in 1 s"}));
    CHECK(text.back() == '\n');
    CHECK(std::count(text.begin(), text.end(), '\n') == 3);
}

TEST_CASE("A bar that was never finished leaves the cursor on a fresh line") {
    Display display({.epochs = 1, .steps_per_epoch = 10, .mode = train::ProgressMode::bar, .width = 80});
    display.wait(1);
    display.progress->update(5, 1, 5);
    display.progress.reset();
    CHECK(display.text().back() == '\n');
}

TEST_CASE("A resumed run counts only its own steps for the time left") {
    Display display({.epochs = 10, .steps_per_epoch = 100, .start_step = 900, .mode = train::ProgressMode::lines});
    display.wait(20);
    display.progress->update(910, 1, 640);
    CHECK(display.text() == "epoch 10/10  step 910/1000  loss 1.0000  32.0 images/s  3 min 00 s left\n");
}

TEST_CASE("A loss that is not known yet is left out, one that became NaN is shown") {
    Display display({.epochs = 1, .steps_per_epoch = 100, .mode = train::ProgressMode::lines});
    for (const double loss : {std::nan(""), 2.0, std::nan("")}) {
        display.wait(10);
        display.progress->update(10, loss, 10);
    }
    const auto lines = lines_of(display.text());
    REQUIRE(lines.size() == 3);
    CHECK_FALSE(mentions(lines[0], {"loss"}));
    CHECK(mentions(lines[1], {"loss 2.0000"}));
    CHECK(mentions(lines[2], {"loss nan"}));
}

TEST_CASE("The rate follows a change of speed within seconds") {
    Display display({.epochs = 1, .steps_per_epoch = 100000, .mode = train::ProgressMode::lines});
    std::int64_t step = 0;
    for (int i = 0; i < 1000; ++i, display.wait(0.1), ++step) display.progress->update(step, 1, 10 * step);
    for (int i = 0; i < 400; ++i, display.wait(0.1), step += 2) display.progress->update(step, 1, 10 * step);
    const auto lines = lines_of(display.text());
    CHECK(mentions(lines[8], {" 100 images/s"}));
    CHECK(std::stod(lines.back().substr(lines.back().find("1.0000") + 6)) == Approx(200).epsilon(0.03));
}

TEST_CASE("Nothing is shown when off, notes neither") {
    Display display({.epochs = 1, .steps_per_epoch = 2, .mode = train::ProgressMode::off});
    display.wait(60);
    display.progress->update(2, 1, 1);
    display.progress->note("hello");
    display.progress->finish();
    CHECK(display.text().empty());
}

TEST_CASE("Progress refuses a run without steps") {
    CHECK(mentions(message_of([] { train::Progress progress({.epochs = 0}); }), {"Progress", "epochs >= 1"}));
    CHECK(mentions(message_of([] { train::Progress progress({.steps_per_epoch = -2}); }), {"steps_per_epoch", "-2"}));
}
