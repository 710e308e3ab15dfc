// SPDX-License-Identifier: Apache-2.0
// What the tests of augmentation operations share.
#pragma once

#include <doppel/augment/operation.hpp>
#include <doppel/core/random.hpp>

#include "reference/augment.hpp"

#include <cstdint>

namespace doppel::test {

/// The random numbers of an image's view.
inline random::Stream stream_of(std::uint64_t index, std::uint64_t view = 0) {
    return random::Stream({.seed = 7, .epoch = 2, .index = index, .view = view});
}

/// With p = 0 the operation never changes an image, with p = 1 it always gives the picture of that name.
template <class Op>
void happens_with_its_probability(const Op& operation, const std::string& always) {
    const Image& busy = expected("source/busy");
    Op never = operation, surely = operation;
    never.p = 0;
    surely.p = 1;
    for (std::uint64_t i = 0; i < 20; ++i) {
        auto draw = stream_of(i);
        CHECK(changed(busy, [&](Image& image) { never(image, draw); }) == busy);
        CHECK(changed(busy, [&](Image& image) { surely(image, draw); }) == expected(always));
    }
}

/// Images of one channel and of one pixel keep their channels; an operation with made_from() gives there what it gives in
/// place, and leaves its source alone.
inline void takes_any_image(const augment::AnyOperation& operation) {
    for (const int channels : {1, 3})
        for (const int side : {1, 12}) {
            auto one = stream_of(3), two = stream_of(3);
            Image source(side, side, channels);
            for (std::size_t i = 0; i < source.pixels.size(); ++i) source.pixels[i] = static_cast<std::uint8_t>(37 * i);
            const Image before = source, made = operation.made_from(source, one);
            CHECK(source == before);
            CHECK(made == changed(source, [&](Image& image) { operation(image, two); }));
            CHECK(made.channels == channels);
            CHECK(made.pixels.size() == static_cast<std::size_t>(made.width * made.height * channels));
        }
}

/// What a wrong option says when the operation enters a pipeline.
template <class Op>
std::string refusal_of(const Op& operation) {
    return message_of([&] { augment::AnyOperation any(operation); });
}

}  // namespace doppel::test
