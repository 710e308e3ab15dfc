// SPDX-License-Identifier: Apache-2.0
// A part of doppel::compiled (include/doppel/core/compiled.hpp).
#include <doppel/train/detail/rehearsal.hpp>
#include <doppel/train/detail/trainer.hpp>
#include <doppel/train/detail/loop.hpp>
