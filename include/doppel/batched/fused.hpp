// SPDX-License-Identifier: Apache-2.0
// The views of a batch in one launch a view, where kernels run.
#pragma once

#include <doppel/augment/batched_plan.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/device/kernel.hpp>
#include <doppel/device/source.hpp>
#include <doppel/image/blur.hpp>
#include <doppel/image/planar_color.hpp>

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>

namespace doppel::batched {

inline constexpr device::Kernel<device::ViewsJob> views_kernel{"doppel_views"};

/// A pipeline as one kernel: a block makes a view, all operations one after the other, with integers as the CPU.
class FusedView {
public:
    /// Returns the kernel's form of a plan; nothing for one that the kernel does not know: operations before the crop of
    /// resident images, wide blurs, many operations, large views.
    static std::optional<FusedView> of(const augment::BatchedPlan& plan, bool resident) {
        FusedView fused;
        auto& job = fused.job_;
        const std::size_t first = resident ? plan.crop() : plan.crop() + 1;
        const std::int64_t values = std::int64_t{plan.channels()} * plan.size() * plan.size();
        if ((resident && first != 0) || plan.steps().size() - first > std::size_t{device::ViewsJob::most_steps} || values > 1 << 24)
            return std::nullopt;
        for (auto& step : job.step) step.kind = -1;
        for (std::size_t s = first; s < plan.steps().size(); ++s) {
            const auto& [operation, column] = plan.steps()[s];
            auto& step = job.step[job.steps++];
            step = {static_cast<int>(operation.index()), static_cast<int>(column), 0, 0, 0};
            if (const auto* crop = std::get_if<augment::RandomResizedCrop>(&operation)) {
                step.a = crop->filter == image::Filter::bicubic;
            } else if (const auto* jitter = std::get_if<augment::ColorJitter>(&operation)) {
                const augment::JitterSlots slots(*jitter, plan.channels());
                step.a = static_cast<int>(slots.before), step.b = static_cast<int>(slots.slots), step.c = slots.hue;
            } else if (const auto* blur = std::get_if<augment::GaussianBlur>(&operation)) {
                step.kind = blur->kind == image::Blur::boxes ? 5 : 4;
                if (step.kind == 4 && 2 * std::ceil(4 * blur->sigma.high) + 1 > device::ViewsJob::most_taps) return std::nullopt;
                fused.scratch_ = std::max(fused.scratch_, values * (step.kind == 4 ? 2 : 1));
            } else if (std::holds_alternative<augment::Solarize>(operation)) {
                step.kind = 6;
            }
        }
        std::copy_n(image::hue_shortfall.bits, 8, job.hue_shortfall);
        job.columns = static_cast<int>(plan.columns());
        job.channels = plan.channels();
        job.size = plan.size();
        return fused;
    }

    /// Makes views [B, C, size, size], 8 bits: of the images [N, C, H, W] at `index` [B] int64, or, if it is undefined, of all, which
    /// are crops.
    Tensor operator()(const Tensor& images, const Tensor& index, const Tensor& drawn) const {
        device::ViewsJob job = job_;
        const std::int64_t rows = drawn.size(0), size = job.size;
        Tensor made = at::empty({rows, job.channels, size, size}, images.options());
        job.height = static_cast<int>(images.size(2));
        job.width = static_cast<int>(images.size(3));
        job.tap_stride = 0;
        std::int64_t bytes = scratch_;
        if (job.step[0].kind == 0) {
            const double scale = std::max(1.0, static_cast<double>(std::max(job.width, job.height)) / job.size);
            job.tap_stride = 2 + 2 * static_cast<int>(std::ceil((job.step[0].a ? 2 : 1) * scale)) + 1;
            bytes = std::max(bytes, 8 * size * job.tap_stride + job.channels * job.height * size);
        }
        job.scratch_bytes = (bytes + 15) / 16 * 16;
        const std::int64_t at_once = std::clamp<std::int64_t>((std::int64_t{1} << 28) / std::max<std::int64_t>(job.scratch_bytes, 1), 1, rows);
        const Tensor scratch = at::empty({at_once * job.scratch_bytes}, images.options()), source = images.contiguous();
        job.scratch = scratch.mutable_data_ptr<std::uint8_t>();
        static_assert(sizeof(long long) == sizeof(std::int64_t));
        for (std::int64_t first = 0; first < rows; first += at_once) {
            job.from = source.const_data_ptr<std::uint8_t>() + (index.defined() ? 0 : first * source.stride(0));
            job.index = index.defined() ? reinterpret_cast<const long long*>(index.const_data_ptr<std::int64_t>()) + first : nullptr;
            job.drawn = drawn.const_data_ptr<double>() + first * job.columns;
            job.to = made.mutable_data_ptr<std::uint8_t>() + first * made.stride(0);
            views_kernel({static_cast<unsigned>(std::min(at_once, rows - first)), size <= 48 ? 256U : 512U}, images.device(), job);
        }
        return made;
    }

private:
    FusedView() = default;
    device::ViewsJob job_{};
    std::int64_t scratch_ = 0;
};

}  // namespace doppel::batched
