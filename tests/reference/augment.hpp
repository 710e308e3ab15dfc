// SPDX-License-Identifier: Apache-2.0
// Reads augment.txt, the pictures that make_augment_fixtures.py made.
#pragma once

#include "support/support.hpp"

#include <doppel/core/error.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>

namespace doppel::test {

/// The picture of that name, as Pillow or torchvision made it.
inline const Image& expected(const std::string& name) {
    static const auto pictures = [] {
        std::map<std::string, Image> all;
        for (const auto& words : fixture_lines("augment.txt")) {  // name, width, height, channels, pixels
            Image picture(std::stoi(words.at(1)), std::stoi(words.at(2)), std::stoi(words.at(3)));
            const auto pixels = bytes_of_hex(words.at(4));
            require(pixels.size() == picture.pixels.size(), "augment.txt: wrong length of ", words[0]);
            picture.pixels.assign(pixels.begin(), pixels.end());
            all[words[0]] = std::move(picture);
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
