// SPDX-License-Identifier: Apache-2.0
// A program's own images for its command line.
#pragma once

#include <doppel/data/open.hpp>

#include <functional>
#include <string>

namespace doppel::cli {

/// Images that a program makes itself, under a name: `--data NAME`, which is then the default. `open` gives the training
/// images and, if there are any, validation images; without these a tenth is held out. Of the images of a ListedSource a
/// resumed run knows whether they are still the same.
///
///     cli::CustomData scans{.name = "scans", .open = [] { return data::Splits{.train = Scans("2024.db")}; }};
struct CustomData {
    std::string name{};
    std::function<data::Splits()> open{};
};

}  // namespace doppel::cli
