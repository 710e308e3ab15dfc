// SPDX-License-Identifier: Apache-2.0
// All augmentation operations.
#pragma once

#include <doppel/augment/color.hpp>
#include <doppel/augment/crops.hpp>
#include <doppel/augment/operation.hpp>
