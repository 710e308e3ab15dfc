// SPDX-License-Identifier: Apache-2.0
// The command line of training programs.
#pragma once

#include <doppel/cli/program.hpp>
