// SPDX-License-Identifier: Apache-2.0
// What stands in a slot that nobody filled.
#pragma once

namespace doppel {

/// Stands in a slot that must be filled.
struct Required {};
/// Stands in a slot that is left out.
struct None {};
/// Stands in the pairing slot when the loss decides (`using Pairing = …`; without it pairings::OneSided).
struct ByLoss {};

}  // namespace doppel
