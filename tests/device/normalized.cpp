// SPDX-License-Identifier: Apache-2.0
// device::normalized: the kernel has the bits of the table, in both memory formats, three types, and all sizes.
#include <doppel/device/normalized.hpp>

#include "support/device_lists.hpp"
#include "support/kernels_on_cpu.hpp"

#include <limits>

using namespace doppel;
using namespace doppel::test;

namespace {

/// 8-bit values that no pattern of the kernel repeats.
Tensor pixels(at::IntArrayRef shape) {
    return at::arange(c10::multiply_integers(shape), at::kLong).mul(7919).remainder(257).remainder(256).to(at::kByte).reshape(shape);
}

Normalize for_channels(int channels) {
    Normalize by;
    for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
        by.mean[c] = 0.3 + 0.03 * static_cast<double>(c);
        by.std[c] = 0.2 + 0.01 * static_cast<double>(c);
    }
    for (auto c = static_cast<std::size_t>(channels); c < by.std.size(); ++c) by.std[c] = 0;
    return by;
}

}  // namespace

TEST_CASE("normalized's kernel has the bits of NormalizeTable, all views in one launch") {
    KernelsOnCpu backend;
    std::vector<Tensor> views;
    std::vector<Normalize> by;
    const auto add = [&](const Tensor& view, int channels) {
        views.push_back(view);
        by.push_back(for_channels(channels));
    };
    add(pixels({3, 3, 48, 44}), 3);                          // a tile and a part of one
    add(pixels({2, 3, 7, 5}), 3);                            // sizes that four does not divide
    add(pixels({2, 1, 9, 8}), 3);                            // gray
    add(pixels({2, 4, 20, 30}), 4);
    add(pixels({1, 16, 24, 25}), 16);                        // smaller tiles
    add(pixels({0, 3, 8, 8}), 3);
    add(pixels({3, 3, 8, 8}).slice(0, 1).slice(3, 1, 7), 3);  // copied first
    add(pixels({2, 3, 8, 8}).flatten().slice(0, 1, 1 + 192).view({1, 3, 8, 8}), 3);  // at no multiple of 4
    for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast})
        for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf}) {
            std::vector<Tensor> found;
            const auto expected = device::normalized(views, by, format, type);
            {
                const device::UseBackend use(backend);
                found = device::normalized(views, by, format, type);
            }
            REQUIRE(found.size() == views.size());
            for (std::size_t v = 0; v < views.size(); ++v) {
                INFO("view " << v << ", " << type);
                CHECK(found[v].is_contiguous(format));
                CHECK(same_bits(found[v], expected[v]));
                CHECK(same_bits(found[v], normalized(views[v], by[v], format).to(type)));
            }
        }
    CHECK(backend.launches == std::map<std::string, int>{{"normalize", 6}});
}

TEST_CASE("normalized rounds to 16 bits as torch does, whatever the value") {
    KernelsOnCpu backend;
    const device::UseBackend use(backend);
    // The last two make integers of 9 and 12 bits, which lie between two values of 16 bits.
    for (const double std : {1.0, 3e-8, 1e-6, 7e4, 3e7, 1e38, 1e-38, 1e-44, 1 / (255 * 3.0), 1 / (255 * 9.0)})
        for (const double mean : {0.0, 0.5, 1.0}) {
            Normalize by;
            by.mean = {mean};
            by.std = {std};
            const std::vector<Tensor> levels{at::arange(256, at::kByte).view({1, 1, 16, 16})};
            const Tensor wide = device::normalized(levels, {by}, at::MemoryFormat::Contiguous)[0];
            for (const auto type : {at::kBFloat16, at::kHalf}) {
                const Tensor found = device::normalized(levels, {by}, at::MemoryFormat::Contiguous, type)[0];
                INFO(type << ", " << mean << ", " << std);
                CHECK(at::equal(found.isnan(), wide.to(type).isnan()));
                CHECK(same_bits(found.nan_to_num(), wide.to(type).nan_to_num()));
            }
        }
}

TEST_CASE("normalized takes many views in as few launches as it can, and leaves other types as they are") {
    KernelsOnCpu backend;
    const device::UseBackend use(backend);
    std::vector<Tensor> views(23, pixels({1, 3, 4, 4}));
    views[5] = wave({1, 3, 4, 4}, 0.7, 0.3, at::kFloat);
    const std::vector<Normalize> by(23);
    const auto found = device::normalized(views, by, at::MemoryFormat::ChannelsLast);
    CHECK(backend.launches["normalize"] == 2);
    CHECK(same_bits(found[5], views[5]));
    CHECK(found[5].is_contiguous(at::MemoryFormat::ChannelsLast));
    CHECK(same_bits(found[22], found[0]));
    says([&] { device::normalized(views, {by[0]}, at::MemoryFormat::Contiguous); }, {"device::normalized: view 1 has 8 bits", "1 normalizations"});
    says([&] { device::normalized(views, by, at::MemoryFormat::Contiguous, at::kDouble); }, {"device::normalized: the type must be", "Double"});
    says([&] { device::normalized({pixels({4, 4})}, by, at::MemoryFormat::Contiguous); }, {"views must be [images", "[4, 4]"});
    says([&] { device::normalized({pixels({1, 5, 4, 4})}, by, at::MemoryFormat::Contiguous); }, {"5 channels"});
}
