// SPDX-License-Identifier: Apache-2.0
// Lists the run folders below a place with their figures, the best first.
//
//     runs                          those below runs/
//     runs experiments --by loss    the lowest loss first
#include <doppel/cli/runs.hpp>

int main(int argc, char** argv) { return doppel::cli::runs(argc, argv); }
