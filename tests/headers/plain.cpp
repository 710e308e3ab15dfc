// SPDX-License-Identifier: Apache-2.0
// Carries the flags with which check.cmake looks at headers that need no torch; never compiled itself.
