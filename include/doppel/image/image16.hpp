// SPDX-License-Identifier: Apache-2.0
// Images of 16-bit samples, and how they become images of 8 bits.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace doppel::image {

/// 16-bit samples [height, width, channels], as stored in the file.
struct Image16 {
    int width = 0, height = 0, channels = 0;
    std::vector<std::uint16_t> samples{};

    bool operator==(const Image16&) const = default;
};

/// The samples that become 0 and 255.
struct SampleWindow {
    int low = 0, high = 65535;
    bool operator==(const SampleWindow&) const = default;

    /// Maps a sample linearly, rounded; samples outside become 0 or 255.
    std::uint8_t operator()(int sample) const {
        const std::int64_t above = std::clamp(sample, low, high) - low, range = high - low;
        return static_cast<std::uint8_t>((above * 510 + range) / (2 * range));
    }
};

/// Reads "LOW:HIGH". Returns nothing unless 0 <= LOW < HIGH <= 65535.
inline std::optional<SampleWindow> window_of(std::string_view text) {
    SampleWindow window;
    const auto colon = text.find(':');
    if (colon == text.npos) return std::nullopt;
    const auto read = [](std::string_view digits, int& value) {
        const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        return problem == std::errc{} && end == digits.data() + digits.size();
    };
    if (!read(text.substr(0, colon), window.low) || !read(text.substr(colon + 1), window.high)) return std::nullopt;
    if (window.low < 0 || window.high > 65535 || window.low >= window.high) return std::nullopt;
    return window;
}

/// Maps [low, high] to 0 … 255: what a radiologist calls a window. Throws Error unless low < high.
///
///     Image shown = image::window(image::read16("scan.png"), 1000, 3000);
inline Image window(const Image16& image, int low, int high) {
    require(low < high, "window: low must be below high, got ", low, " and ", high);
    Image result(image.width, image.height, image.channels);
    const SampleWindow map{low, high};
    std::transform(image.samples.begin(), image.samples.end(), result.pixels.begin(), map);
    return result;
}

}  // namespace doppel::image
