// SPDX-License-Identifier: Apache-2.0
// Which run a checkpoint belongs to: everything that decides the run's result, by name.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace doppel::train {

/// What must agree before a run resumes from a checkpoint: name of the setting → its value as text. The method's own
/// options are named "option temperature", so that they are listed before the rest.
using Identity = std::map<std::string, std::string>;
using MayDiffer = std::function<bool(const std::string& name, const std::string& there, const std::string& here)>;

/// The settings in which two runs differ, one text each ("batch size is 8 there and 10 here"); the method's own options
/// first. Those for which `may_differ(name, there, here)` is true are left out.
inline std::vector<std::string> differences(const Identity& there, const Identity& here,
                                            const MayDiffer& may_differ = {}) {
    std::vector<std::string> options, others;
    const auto look_at = [&](const std::string& name) {
        const auto a = there.find(name), b = here.find(name);
        const std::string was = a == there.end() ? "not set" : a->second, is = b == here.end() ? "not set" : b->second;
        if (was == is || (may_differ && may_differ(name, was, is))) return;
        constexpr std::string_view prefix = "option ";
        const bool option = name.starts_with(prefix);
        (option ? options : others)
            .push_back((option ? name.substr(prefix.size()) : name) + " is " + was + " there and " + is + " here");
    };
    for (const auto& [name, value] : there) look_at(name);
    for (const auto& [name, value] : here)
        if (!there.contains(name)) look_at(name);
    options.insert(options.end(), others.begin(), others.end());
    return options;
}

}  // namespace doppel::train
