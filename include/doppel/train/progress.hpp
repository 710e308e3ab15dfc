// SPDX-License-Identifier: Apache-2.0
// How far a run is: one line redrawn in a terminal, a plain line now and then elsewhere.
#pragma once

#include <doppel/core/error.hpp>

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <iterator>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace doppel::train {

enum class ProgressMode {
    automatic,  ///< bar when `out` is a terminal, else lines
    bar,        ///< one line, redrawn
    lines,      ///< a line every `line_every` seconds and at the end of each epoch
    off,        ///< nothing at all, notes neither
};

/// The modes' names on the command line.
constexpr std::array<std::string_view, 4> option_names(ProgressMode) { return {"auto", "bar", "lines", "off"}; }

struct ProgressOptions {
    std::int64_t epochs = 1;           ///< of the whole run, >= 1
    std::int64_t steps_per_epoch = 1;  ///< optimizer steps, >= 1
    std::int64_t start_step = 0;       ///< steps done before (a resumed run)
    std::FILE* out = stderr;           ///< where to; it must outlive the object
    ProgressMode mode = ProgressMode::automatic;
    double line_every = 10;            ///< seconds between plain lines
    int width = 0;                     ///< columns of the bar's line; 0: ask the terminal
    std::function<std::chrono::steady_clock::time_point()> clock = std::chrono::steady_clock::now;  ///< for tests
};

/// Seconds in words: "45 s", "3 min 20 s", "1 h 02 min".
inline std::string duration_text(double seconds) {
    char text[64];
    const auto total = static_cast<long long>(std::llround(std::clamp(seconds, 0.0, 1e12)));
    if (total < 60)
        std::snprintf(text, sizeof text, "%lld s", total);
    else if (total < 3600)
        std::snprintf(text, sizeof text, "%lld min %02lld s", total / 60, total % 60);
    else
        std::snprintf(text, sizeof text, "%lld h %02lld min", total / 3600, total % 3600 / 60);
    return text;
}

/// Shows epoch, step, loss, images a second (of the last seconds) and the time left. update() may be
/// called at every step: it writes at most ten times a second. Safe to call from several threads.
///
///     train::Progress progress({.epochs = 20, .steps_per_epoch = 390});
///     progress.update(step, loss, images);   // after the step; ends with progress.finish()
class Progress {
public:
    explicit Progress(ProgressOptions options)
        : options_(std::move(options)),
          step_(options_.start_step),
          counted_step_(step_),
          begin_(options_.clock()),
          counted_at_(begin_),
          shown_(begin_),
          shown_epoch_(step_ / std::max<std::int64_t>(options_.steps_per_epoch, 1)) {
        require(options_.epochs >= 1 && options_.steps_per_epoch >= 1 && options_.start_step >= 0 && options_.out,
                "Progress: expected epochs >= 1, steps_per_epoch >= 1, start_step >= 0 and a stream, got ",
                options_.epochs, ", ", options_.steps_per_epoch, ", ", options_.start_step,
                options_.out ? "" : ", none");
        if (options_.mode == ProgressMode::automatic)
            options_.mode = ::isatty(::fileno(options_.out)) != 0 ? ProgressMode::bar : ProgressMode::lines;
    }
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    /// Leaves the cursor on a fresh line.
    ~Progress() {
        if (drawn_) print("\n");
    }

    /// After an optimizer step: how many are done in the whole run (from 1), the last known loss (NaN until
    /// there is one: it is left out then), and how many images this object's run has used so far.
    void update(std::int64_t step, double loss, std::int64_t images_done) {
        const std::lock_guard lock(mutex_);
        const auto now = options_.clock();
        step_ = step;
        loss_ = loss;
        loss_known_ = loss_known_ || std::isfinite(loss);
        images_ = images_done;
        const double since = seconds(now - counted_at_);
        if (since >= 0.1) count(now, since);
        const bool epoch_ends = step / options_.steps_per_epoch > shown_epoch_;
        const double pause = options_.mode == ProgressMode::bar ? 0.1 : options_.line_every;
        if (options_.mode == ProgressMode::off || (!epoch_ends && seconds(now - shown_) < pause)) return;
        shown_ = now;
        shown_epoch_ = step / options_.steps_per_epoch;
        show(time_left());
    }

    /// A line of its own, above the bar.
    void note(std::string_view text) {
        const std::lock_guard lock(mutex_);
        if (options_.mode == ProgressMode::off) return;
        print((drawn_ ? "\r\x1b[K" : "") + std::string(text) + '\n');
        if (std::exchange(drawn_, false)) show(time_left());
    }

    /// The last state with the time it took, and a fresh line; once.
    void finish() {
        const std::lock_guard lock(mutex_);
        if (options_.mode == ProgressMode::off || std::exchange(finished_, true)) return;
        const auto now = options_.clock();
        if (const double since = seconds(now - counted_at_); since > 0) count(now, since);
        show("in " + duration_text(seconds(now - begin_)));
        if (std::exchange(drawn_, false)) print("\n");
    }

private:
    using Time = std::chrono::steady_clock::time_point;

    /// A mean in which a second weighs the less the longer ago it was.
    struct Recent {
        double sum = 0, time = 0;
        void add(double amount, double seconds, double memory) {
            const double keep = std::exp(-seconds / memory);
            sum = sum * keep + amount;
            time = time * keep + seconds;
        }
        double rate() const { return time > 0 ? sum / time : 0; }
    };

    static double seconds(Time::duration duration) { return std::chrono::duration<double>(duration).count(); }

    void count(Time now, double since) {
        image_rate_.add(static_cast<double>(images_ - counted_images_), since, 10);
        // Time left goes by a longer past, so that an evaluation between epochs counts but does not upset it.
        step_rate_.add(static_cast<double>(step_ - counted_step_), since, std::max(10.0, seconds(now - begin_) / 2));
        counted_at_ = now;
        counted_step_ = step_;
        counted_images_ = images_;
    }

    std::int64_t steps() const { return options_.epochs * options_.steps_per_epoch; }

    std::string time_left() const {
        const auto left = std::max<std::int64_t>(steps() - step_, 0);
        if (step_rate_.rate() <= 0) return "";
        return duration_text(static_cast<double>(left) / step_rate_.rate()) + " left";
    }

    /// Bar: as much as the width has room for, the last parts go first. Lines: everything.
    void show(const std::string& time) {
        const auto per_epoch = options_.steps_per_epoch;
        const double done = std::clamp(static_cast<double>(step_) / static_cast<double>(steps()), 0.0, 1.0);
        const auto epoch = std::clamp<std::int64_t>((step_ - 1) / per_epoch + 1, 1, options_.epochs);
        std::string parts[] = {
            format("epoch %lld/%lld", static_cast<long long>(epoch), static_cast<long long>(options_.epochs)),
            format("step %lld/%lld", static_cast<long long>(step_), static_cast<long long>(steps())),
            loss_known_ ? format("loss %.4f", loss_) : "",
            image_rate_.rate() > 0
                ? format(image_rate_.rate() < 100 ? "%.1f images/s" : "%.0f images/s", image_rate_.rate())
                : "",
            time};
        const auto percent = format("%3.0f%%", std::floor(100 * done));
        if (options_.mode == ProgressMode::lines) {
            std::string line;
            for (const auto& part : parts)
                if (!part.empty()) line += (line.empty() ? "" : "  ") + part;
            print(line + '\n');
            return;
        }
        const auto room = static_cast<std::size_t>(std::max(width() - 1, 1));
        std::string head = parts[0] + ' ' + percent, tail;
        for (std::size_t part = 1; part < std::size(parts); ++part)
            if (!parts[part].empty() && head.size() + tail.size() + 2 + parts[part].size() <= room)
                tail += "  " + parts[part];
        const auto rest = room - std::min(room, head.size() + tail.size());
        if (rest >= 8) {  // " [" bar "]"
            const auto cells = std::min<std::size_t>(rest - 3, 30);
            const auto full = static_cast<std::size_t>(done * static_cast<double>(cells));
            head = parts[0] + " [" + std::string(full, '=') + std::string(cells - full, ' ') + "] " + percent;
        }
        print("\r" + (head + tail).substr(0, room) + "\x1b[K");
        drawn_ = true;
    }

    int width() const {
        if (options_.width > 0) return options_.width;
        winsize size{};
        return ::ioctl(::fileno(options_.out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
    }

    template <class... Values>
    static std::string format(const char* pattern, Values... values) {
        char text[96];
        std::snprintf(text, sizeof text, pattern, values...);
        return text;
    }

    void print(const std::string& text) {
        std::fputs(text.c_str(), options_.out);
        std::fflush(options_.out);
    }

    ProgressOptions options_;
    std::mutex mutex_;
    double loss_ = 0;
    std::int64_t step_, images_ = 0, counted_step_, counted_images_ = 0;
    Recent image_rate_, step_rate_;
    Time begin_, counted_at_, shown_;
    std::int64_t shown_epoch_;
    bool loss_known_ = false, drawn_ = false, finished_ = false;
};

}  // namespace doppel::train
