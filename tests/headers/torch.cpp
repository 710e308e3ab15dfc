// SPDX-License-Identifier: Apache-2.0
// Carries the flags with which check.cmake looks at headers that need torch; never compiled itself.
