// SPDX-License-Identifier: Apache-2.0
// Catch2 (2.13 or 3), with SKIP.
#pragma once

#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif
#ifndef SKIP  // Catch2 2 and 3.0 to 3.2; main.cpp counts
#define DOPPEL_CATCH2_WITHOUT_SKIP
#define SKIP(reason)                      \
    do {                                  \
        WARN("skipped: " << reason);      \
        ++doppel::test::skipped_cases;    \
        return;                           \
    } while (false)
#endif

namespace doppel::test {

/// How many cases called SKIP where Catch2 has none.
inline int skipped_cases = 0;

}  // namespace doppel::test
