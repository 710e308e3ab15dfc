// SPDX-License-Identifier: Apache-2.0
// All shipped methods in one table. Including it compiles all of them, unless doppel::compiled is linked; a program of your
// own includes the method it trains.
#pragma once

#include <doppel/methods/entry.hpp>

#include <string_view>
#include <vector>

namespace doppel::methods {

/// Returns the table (methods/detail/registry.hpp).
const std::vector<MethodEntry>& all();

/// The shipped method of that name. Throws Error for another one, with the nearest name and the list.
inline const MethodEntry& find(std::string_view name) { return find_in(all(), name); }

}  // namespace doppel::methods

#ifndef DOPPEL_COMPILED
#include <doppel/methods/detail/registry.hpp>
#endif
