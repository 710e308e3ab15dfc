// SPDX-License-Identifier: Apache-2.0
// Whole runs: config.json, baselines, training, weights, evaluation, report.
#pragma once

#include <doppel/run/run.hpp>
