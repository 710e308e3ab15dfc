// SPDX-License-Identifier: Apache-2.0
// Evaluation: features, k-NN, collapse measures, the report.
#pragma once

#include <doppel/eval/accuracy.hpp>
#include <doppel/eval/attention.hpp>
#include <doppel/eval/attention_pictures.hpp>
#include <doppel/eval/collapse.hpp>
#include <doppel/eval/features.hpp>
#include <doppel/eval/knn.hpp>
#include <doppel/eval/pixels.hpp>
#include <doppel/eval/report.hpp>
