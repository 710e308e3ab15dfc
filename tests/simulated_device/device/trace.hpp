// SPDX-License-Identifier: Apache-2.0
// What the simulated device notes while a program runs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace simulated {

enum class What {
    launch,    ///< a kernel is put on a stream
    wait,      ///< the host waits for all that it has put on a stream
    late_wait, ///< the host waits for an event behind which more work stands: the device goes on
    copy,      ///< an asynchronous copy from or to page-locked memory
    pageable,  ///< an asynchronous copy from other memory: the driver copies it first, and a graph cannot hold it
    race,      ///< memory is used by two streams, or by a stream and the host, without an event between them
};

struct Note {
    What what = What::launch;
    std::string op{}, why{};
    std::string where{};             ///< the nearest function of doppel, where the note is not a launch
    std::string numbers{}, shapes{}; ///< of a launch, with Settings::details: what a captured graph holds fixed
    std::int64_t bytes_sent = 0;     ///< from the host to the device
};

struct Trace {
    std::vector<Note> notes{};

    std::int64_t count(What what) const {
        return std::count_if(notes.begin(), notes.end(), [&](const Note& note) { return note.what == what; });
    }
    std::int64_t bytes_sent() const {
        std::int64_t sum = 0;
        for (const Note& note : notes) sum += note.bytes_sent;
        return sum;
    }
    /// "operator (reason) in function" → how often.
    std::map<std::string, int> of(What what) const {
        std::map<std::string, int> all;
        for (const Note& note : notes)
            if (note.what == what)
                ++all[note.op + (note.why.empty() ? "" : " (" + note.why + ")") + (note.where.empty() ? "" : " in " + note.where)];
        return all;
    }
    std::string text(What what) const {
        std::string all;
        for (const auto& [note, times] : of(what)) all += note + (times > 1 ? ", " + std::to_string(times) + " times" : "") + "\n";
        return all;
    }
};

/// What a graph that was captured in step `a` would do wrong as step `b`: waits, copies from pageable memory, and operators,
/// shapes or numbers from the host that differ. Both traces need Settings::details.
inline std::map<std::string, int> against_capture(const Trace& a, const Trace& b) {
    std::map<std::string, int> all;
    for (const auto& [note, times] : b.of(What::wait)) all["waits: " + note] += times;
    for (const auto& [note, times] : b.of(What::pageable)) all["pageable: " + note] += times;
    std::vector<const Note*> first, second;
    for (const Note& note : a.notes)
        if (note.what == What::launch) first.push_back(&note);
    for (const Note& note : b.notes)
        if (note.what == What::launch) second.push_back(&note);
    if (first.size() != second.size())
        ++all["length: " + std::to_string(first.size()) + " and " + std::to_string(second.size()) + " launches"];
    for (std::size_t i = 0; i < std::min(first.size(), second.size()); ++i) {
        const Note &x = *first[i], &y = *second[i];
        if (x.op != y.op) {
            ++all["launch " + std::to_string(i) + ": " + x.op + " and " + y.op];
            break;
        }
        if (x.shapes != y.shapes) ++all["shape: " + y.op + " " + x.shapes + " and " + y.shapes];
        if (x.numbers != y.numbers) ++all["number: " + y.op + " " + x.numbers + " and " + y.numbers];
    }
    return all;
}

}  // namespace simulated
