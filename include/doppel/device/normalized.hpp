// SPDX-License-Identifier: Apache-2.0
// 8-bit views as normalized floats, all of a batch in one launch.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/normalize.hpp>
#include <doppel/core/normalized.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/device/kernel.hpp>
#include <doppel/device/source.hpp>

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace doppel::device {

inline constexpr Kernel<NormalizedViews> normalize_kernel{"doppel_normalize"};

namespace detail {

inline NormalizedView normalized_view(const Tensor& from, const Tensor& to, const Normalize& by, bool channels_last) {
    NormalizedView view{};
    view.from = from.const_data_ptr();
    view.to = to.mutable_data_ptr();
    view.channels = static_cast<int>(from.size(1));
    view.planes = channels_last ? view.channels : 1;
    view.pictures = static_cast<int>(from.size(0) * (channels_last ? 1 : from.size(1)));
    view.pixels = static_cast<int>(from.size(2) * from.size(3));
    view.tile = view.planes <= 4 ? normalize_bytes / 4 : normalize_bytes / 16;
    const std::int64_t units = std::int64_t{view.pictures} * ((view.pixels + view.tile - 1) / view.tile);
    view.each = static_cast<int>(std::clamp<std::int64_t>(units / 2048, 1, 8));  // so that a block's table is worth its while
    for (std::size_t c = 0; c < static_cast<std::size_t>(view.channels); ++c) {
        view.mean[c] = static_cast<float>(by.mean[c]);
        view.std[c] = static_cast<float>(by.std[c]);
    }
    return view;
}

inline unsigned blocks_of(const NormalizedView& view) {
    const std::int64_t units = std::int64_t{view.pictures} * ((view.pixels + view.tile - 1) / view.tile);
    return static_cast<unsigned>((units + view.each - 1) / view.each);
}

}  // namespace detail

/// Returns (x/255 − mean)/std of each tensor of 8-bit views [B, C, H, W] by its own `by`, in the given memory format, as
/// float32, bfloat16 or float16, on the views' device. The sizes of the views may differ. Views that are not 8-bit keep their
/// type and are only laid out.
/// On a GPU: one launch for up to 20 views, 5 bytes of traffic a value (3 for 16 bits). Where kernels run, and on the CPU,
/// float32 values are those of NormalizeTable bit for bit, and 16-bit values those, rounded to nearest; ATen's operations on
/// a GPU differ by 1 unit in the last place.
///
///     batch.views = device::normalized(batch.views, batch.normalize, at::MemoryFormat::ChannelsLast, at::kBFloat16);
inline std::vector<Tensor> normalized(const std::vector<Tensor>& views, const std::vector<Normalize>& by, at::MemoryFormat format,
                                      at::ScalarType type = at::kFloat) {
    require(type == at::kFloat || type == at::kBFloat16 || type == at::kHalf,
            "device::normalized: the type must be float32, bfloat16 or float16, got ", type);
    require(format == at::MemoryFormat::Contiguous || format == at::MemoryFormat::ChannelsLast,
            "device::normalized: the memory format must be contiguous or channels-last, got ", format);
    std::vector<Tensor> results;
    NormalizedViews arguments{};
    arguments.kind = type == at::kFloat ? 0 : type == at::kBFloat16 ? 1 : 2;
    unsigned blocks = 0;
    std::vector<Tensor> alive;
    at::Device device = at::kCPU;
    const auto flush = [&] {
        normalize_kernel({blocks, 256}, device, arguments);
        arguments.count = 0;
        blocks = 0;
    };
    for (std::size_t v = 0; v < views.size(); ++v) {
        const Tensor& view = views[v];
        if (view.scalar_type() != at::kByte) {
            results.push_back(view.contiguous(format));
            continue;
        }
        require(v < by.size(), "device::normalized: view ", v, " has 8 bits, and there are ", by.size(), " normalizations");
        require(view.dim() == 4, "device::normalized: views must be [images, channels, height, width], got ", view.sizes());
        by[v].check();
        const bool fits = view.size(1) <= by[v].channels() && view.size(0) * view.size(1) <= std::numeric_limits<std::int32_t>::max() &&
                          view.size(2) * view.size(3) <= std::numeric_limits<std::int32_t>::max() / most_channels;
        if (!fits || !kernels_usable(view.device())) {
            results.push_back(doppel::normalized(view, by[v], format).to(type));
            continue;
        }
        const Tensor bytes = view.contiguous();
        results.push_back(at::empty(bytes.sizes(), bytes.options().dtype(type).memory_format(format)));  // [B, C, H, W]
        if (bytes.numel() == 0) continue;
        if (arguments.count == static_cast<int>(NormalizedViews::most) || (arguments.count > 0 && bytes.device() != device)) flush();
        device = bytes.device();
        auto& argument = arguments.views[arguments.count++];
        argument = detail::normalized_view(bytes, results.back(), by[v], format == at::MemoryFormat::ChannelsLast);
        argument.first_block = blocks;
        blocks += detail::blocks_of(argument);
        alive.push_back(bytes);
    }
    flush();
    return results;
}

}  // namespace doppel::device
