// SPDX-License-Identifier: Apache-2.0
// What every test file includes: Catch2 and helpers without torch.
#pragma once

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/fixtures.hpp"
