// SPDX-License-Identifier: Apache-2.0
// A folder of images of many kinds, to be packed.
#pragma once

#include <doppel/image/write_png.hpp>
#include <doppel/io/atomic_file.hpp>

#include "support/files.hpp"
#include "support/images.hpp"
#include "support/jpegs.hpp"

#include <filesystem>
#include <span>

namespace doppel::test {

/// Class folders in train and val: JPEGs of every kind, small and large PNG files, gray and in color.
inline void save_kinds(const std::filesystem::path& folder) {
    for (const auto* split : {"train", "val"})
        for (const auto* kind : {"cat", "dog"}) {
            const auto at = folder / split / kind;
            std::filesystem::create_directories(at);
            const bool color = kind[0] == 'c';
            image::write_png(at / "small.png", busy(30, 40, color ? 3 : 1));
            image::write_png(at / "large.png", busy(70, 40, color ? 1 : 3));
#if DOPPEL_JPEG
            if (split[0] == 't' && color)
                for (const auto& [name, bytes] : jpeg_kinds()) io::write_atomically(at / (name + ".jpg"), std::span(bytes));
#endif
        }
}

}  // namespace doppel::test
