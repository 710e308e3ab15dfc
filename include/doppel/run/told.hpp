// SPDX-License-Identifier: Apache-2.0
// What the first of several processes does while the others wait.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/train/error_text.hpp>

#include <nlohmann/json.hpp>

#include <string>

namespace doppel::run {

/// Returns what `find` returns in the first process, in all of them; the others do not call it. What it throws there is an Error in
/// all. Alone: find().
///
///     const auto figures = told(group, [&] { return measure(rows); });   // train::Metrics
template <class Find>
auto told(const Group& group, Find&& find) -> decltype(find()) {
    if (group.alone()) return find();
    nlohmann::json said;
    if (group.first()) {
        try {
            said["value"] = find();
        } catch (...) { said["problem"] = train::error_text(); }
    }
    std::string bytes;  // CBOR keeps numbers that are not finite
    nlohmann::json::to_cbor(said, bytes);
    said = nlohmann::json::from_cbor(group.collectives().texts(bytes).front());
    if (said.contains("problem")) fail(said["problem"].get<std::string>());
    return said["value"].get<decltype(find())>();
}

}  // namespace doppel::run
