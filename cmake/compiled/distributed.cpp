// SPDX-License-Identifier: Apache-2.0
// A part of doppel::compiled (include/doppel/core/compiled.hpp).
#include <doppel/distributed/detail/join.hpp>
