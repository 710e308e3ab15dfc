// SPDX-License-Identifier: Apache-2.0
// All schedules.
#pragma once

#include <doppel/schedules/constant.hpp>
#include <doppel/schedules/cosine.hpp>
#include <doppel/schedules/linear.hpp>
#include <doppel/schedules/multi_step.hpp>
#include <doppel/schedules/schedule.hpp>
#include <doppel/schedules/warmup_cosine.hpp>
