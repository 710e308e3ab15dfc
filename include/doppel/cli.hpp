// SPDX-License-Identifier: Apache-2.0
// The command line of the examples: options, a whole run, the report.
#pragma once

#include <doppel/cli/run.hpp>
