// SPDX-License-Identifier: Apache-2.0
// Reads augment.txt, the pictures that make_augment_fixtures.py made.
#pragma once

#include "support/support.hpp"

#include <doppel/core/error.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <sstream>
#include <string>

namespace doppel::test {

/// The picture of that name, as Pillow or torchvision made it.
inline const Image& expected(const std::string& name) {
    static const auto pictures = [] {
        std::map<std::string, Image> all;
        std::ifstream file(reference_folder() / "augment.txt");
        for (std::string line, key, hex; std::getline(file, line);) {
            if (line.empty() || line[0] == '#') continue;
            int width = 0, height = 0, channels = 0;
            std::istringstream(line) >> key >> width >> height >> channels >> hex;
            Image picture(width, height, channels);
            require(hex.size() == 2 * picture.pixels.size(), "augment.txt: wrong length of ", key);
            for (std::size_t i = 0; i < picture.pixels.size(); ++i)
                picture.pixels[i] = static_cast<std::uint8_t>(std::strtol(hex.substr(2 * i, 2).c_str(), nullptr, 16));
            all[key] = std::move(picture);
        }
        return all;
    }();
    const auto found = pictures.find(name);
    require(found != pictures.end(), "augment.txt has no ", name);
    return found->second;
}

/// The largest difference of two images in levels; 256 when their shapes differ.
inline int difference(const Image& a, const Image& b) {
    if (a.width != b.width || a.height != b.height || a.channels != b.channels) return 256;
    int largest = 0;
    for (std::size_t i = 0; i < a.pixels.size(); ++i) largest = std::max(largest, std::abs(a.pixels[i] - b.pixels[i]));
    return largest;
}

/// `image` after change(image).
template <class Change>
Image changed(Image image, Change&& change) {
    change(image);
    return image;
}

}  // namespace doppel::test
