// SPDX-License-Identifier: Apache-2.0
// All augmentation operations.
#pragma once

#include <doppel/augment/center_crop.hpp>
#include <doppel/augment/color_jitter.hpp>
#include <doppel/augment/gaussian_blur.hpp>
#include <doppel/augment/grayscale.hpp>
#include <doppel/augment/horizontal_flip.hpp>
#include <doppel/augment/operation.hpp>
#include <doppel/augment/random_resized_crop.hpp>
#include <doppel/augment/resize.hpp>
#include <doppel/augment/solarize.hpp>
