// SPDX-License-Identifier: Apache-2.0
// What a view is made from: a decoded image, or the decoded part of one.
#pragma once

#include <doppel/image/crop.hpp>
#include <doppel/image/image.hpp>

namespace doppel::augment {

/// The pixels of the part `at` of a width × height image. A pipeline that begins with a random crop needs no more than that
/// part: Pipeline::needs() tells it before the image is decoded.
struct Source {
    const Image* pixels = nullptr;
    image::Rect at{};
    int width = 0, height = 0;

    Source(const Image& whole)  // NOLINT: implicit by intent
        : pixels(&whole), at{0, 0, whole.width, whole.height}, width(whole.width), height(whole.height) {}
    Source(const Image& decoded, const image::Rect& part, int columns, int rows)
        : pixels(&decoded), at(part), width(columns), height(rows) {}

    bool whole() const { return at == image::Rect{0, 0, width, height}; }
};

}  // namespace doppel::augment
