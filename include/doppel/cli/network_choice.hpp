// SPDX-License-Identifier: Apache-2.0
// --network: which of the two networks of a file.
#pragma once

#include <doppel/recipe/any_method.hpp>

#include <array>
#include <optional>
#include <string_view>

namespace doppel::cli {

/// Which network is taken; automatic: the one that the file's method exports.
enum class NetworkChoice { automatic, online, target };
constexpr std::array<std::string_view, 3> option_names(NetworkChoice) { return {"auto", "online", "target"}; }

/// Returns the network; nothing for automatic.
inline std::optional<Network> network_of(NetworkChoice choice) {
    if (choice == NetworkChoice::automatic) return std::nullopt;
    return choice == NetworkChoice::online ? Network::online : Network::target;
}

}  // namespace doppel::cli
