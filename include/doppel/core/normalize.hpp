// SPDX-License-Identifier: Apache-2.0
// The normalization of 8-bit pixels: mean and deviation of each channel.
#pragma once

#include <doppel/core/error.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <sstream>
#include <string>
#include <vector>

namespace doppel {

/// The channels that images and networks may have.
inline constexpr int most_channels = 16;

/// (x/255 − mean) / std for each channel; one-channel images use the first entry.
struct Normalize {
    /// Mean of each channel on the scale 0 … 1.
    std::array<double, most_channels> mean{0.485, 0.456, 0.406};
    /// Standard deviation of each channel on the scale 0 … 1, > 0; 0 behind the last channel.
    std::array<double, most_channels> std{0.229, 0.224, 0.225};

    bool operator==(const Normalize&) const = default;

    /// Returns how many channels it is for: up to the last deviation that is not 0.
    int channels() const {
        int count = most_channels;
        while (count > 1 && std[static_cast<std::size_t>(count) - 1] == 0) --count;
        return count;
    }
    void check() const {
        for (std::size_t c = 0; c < static_cast<std::size_t>(channels()); ++c)
            require(std[c] > 0, "Normalize: std must be > 0, got ", std[c]);
    }
    std::string describe() const {
        std::ostringstream text;
        const auto list = [&](const char* name, const auto& values) {
            text << name << "=[";
            for (std::size_t c = 0; c < static_cast<std::size_t>(channels()); ++c) text << (c ? ", " : "") << values[c];
            text << ']';
        };
        list("normalize(mean", mean);
        list(", std", std);
        text << ')';
        return text.str();
    }
};

/// A lookup table of the 256 normalized values of each channel.
class NormalizeTable {
public:
    explicit NormalizeTable(const Normalize& by) : values_(static_cast<std::size_t>(by.channels())) {
        by.check();
        for (std::size_t c = 0; c < values_.size(); ++c)
            for (std::size_t x = 0; x < 256; ++x)
                values_[c][x] = (static_cast<float>(x) / 255.0F - static_cast<float>(by.mean[c])) /
                                static_cast<float>(by.std[c]);
    }

    /// The value of a level in a channel.
    float at(std::size_t channel, std::uint8_t level) const { return values_[channel][level]; }

    /// Writes planes [channels, …] of 8 bits as floats to `out`, which must have exactly that size.
    void operator()(std::span<const std::uint8_t> planes, int channels, std::span<float> out) const {
        require(out.size() == planes.size(), "Normalize: the image has ", planes.size(), " values, got space for ", out.size());
        const std::size_t pixels = out.size() / static_cast<std::size_t>(channels);
        for (std::size_t c = 0, i = 0; i < out.size(); ++c)
            for (const std::size_t end = i + pixels; i < end; ++i) out[i] = values_[c][planes[i]];
    }

private:
    std::vector<std::array<float, 256>> values_;
};

}  // namespace doppel
