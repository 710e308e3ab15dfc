// SPDX-License-Identifier: Apache-2.0
// All shipped callbacks.
#pragma once

#include <doppel/train/callbacks/collapse_watch.hpp>
#include <doppel/train/callbacks/evaluate_every.hpp>
#include <doppel/train/callbacks/expectation.hpp>
#include <doppel/train/callbacks/give_up.hpp>
#include <doppel/train/callbacks/metrics_log.hpp>
#include <doppel/train/callbacks/online_probe.hpp>
#include <doppel/train/callbacks/progress_bar.hpp>
#include <doppel/train/callbacks/save_checkpoints.hpp>
#include <doppel/train/callbacks/stop_on_signal.hpp>
#include <doppel/train/callbacks/tensorboard_log.hpp>
