// SPDX-License-Identifier: Apache-2.0
// The compiled part: functions without templates that cost every program compile time. They are header-only as all of
// doppel, unless a target links doppel::compiled, which defines DOPPEL_COMPILED: then the headers only declare them.
#pragma once

#if defined(DOPPEL_COMPILED_SOURCE)  // the sources of doppel::compiled itself
#define DOPPEL_BODY
#else
#define DOPPEL_BODY inline
#endif
