// SPDX-License-Identifier: Apache-2.0
// Which images of a data set can be decoded.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/progress.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace doppel::data::detail {

/// Decodes images to learn whether that works, each of them once.
class Decodable {
public:
    Decodable(const Dataset& images, Progress progress) : images_(images), ticker_(std::move(progress)) {}

    bool operator()(std::int64_t i) {
        const auto [at, is_new] = known_.emplace(i, false);
        if (is_new) at->second = decodes(i);
        return at->second;
    }

    /// Decodes several images in threads.
    void look_at(const std::vector<std::int64_t>& which) {
        std::vector<char> good(which.size());
        const auto count = std::min<std::size_t>(which.size() / 8 + 1, std::max(1U, std::thread::hardware_concurrency()));
        std::vector<std::exception_ptr> problems(count);
        std::atomic<std::size_t> next{0};
        const auto work = [&](std::size_t thread) {
            try {
                for (std::size_t i; (i = next++) < which.size();) {
                    good[i] = decodes(which[i]);
                    if (thread == 0)
                        ticker_.tick([&] {
                            return "decoded " + std::to_string(i) + " of " + std::to_string(which.size()) +
                                   " images, to hold out none that is damaged";
                        });
                }
            } catch (...) { problems[thread] = std::current_exception(); }
        };
        std::vector<std::thread> threads;
        for (std::size_t t = 1; t < count; ++t) threads.emplace_back(work, t);
        work(0);
        for (auto& thread : threads) thread.join();
        for (const auto& problem : problems)
            if (problem) std::rethrow_exception(problem);
        for (std::size_t i = 0; i < which.size(); ++i) known_[which[i]] = good[i] != 0;
    }

private:
    bool decodes(std::int64_t i) const {
        for (const bool again : {true, false}) {
            try {
                static_cast<void>(images_.image(i));
                return true;
            } catch (const UnreadableImage&) {  // a read may fail once
                if (!again) return false;
            } catch (const DamagedImage&) { return false; }
        }
        return false;
    }

    const Dataset& images_;
    Ticker ticker_;
    std::map<std::int64_t, bool> known_;
};

}  // namespace doppel::data::detail
