// SPDX-License-Identifier: Apache-2.0
// Evaluation: features, k-NN, linear probe, fine-tuning, measures without labels, maps, the report.
#pragma once

#include <doppel/eval/accuracy.hpp>
#include <doppel/eval/attention.hpp>
#include <doppel/eval/attention_pictures.hpp>
#include <doppel/eval/cka.hpp>
#include <doppel/eval/collapse.hpp>
#include <doppel/eval/comparison.hpp>
#include <doppel/eval/feature.hpp>
#include <doppel/eval/feature_pictures.hpp>
#include <doppel/eval/features.hpp>
#include <doppel/eval/few_labels.hpp>
#include <doppel/eval/fine_tune.hpp>
#include <doppel/eval/gain.hpp>
#include <doppel/eval/knn.hpp>
#include <doppel/eval/lidar.hpp>
#include <doppel/eval/linear_probe.hpp>
#include <doppel/eval/logistic.hpp>
#include <doppel/eval/neighbors.hpp>
#include <doppel/eval/pca.hpp>
#include <doppel/eval/pixels.hpp>
#include <doppel/eval/report.hpp>
#include <doppel/eval/spectrum.hpp>
#include <doppel/eval/tsne.hpp>
#include <doppel/eval/uniformity.hpp>
#include <doppel/eval/view_features.hpp>
