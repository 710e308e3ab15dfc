// SPDX-License-Identifier: Apache-2.0
// The views of a batch, made on a device by batched operations.
#pragma once

#include <doppel/augment/batched_plan.hpp>
#include <doppel/augment/pipeline.hpp>
#include <doppel/batched/blur.hpp>
#include <doppel/batched/color.hpp>
#include <doppel/batched/fused.hpp>
#include <doppel/batched/hue.hpp>
#include <doppel/batched/resize.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/device/kernel.hpp>

#include <ATen/Context.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

namespace doppel::batched {

/// Makes the views of a batch whose parameters a loader has drawn (data::Make): of its crops, or of a data set that the device
/// holds. One launch a view where doppel's kernels run (FusedView); else tensor operations for all images and all views of one
/// kind, about 300. The pixels are those of augment::Pipeline: every sum is exact, so that only a weight of a resize or blur may
/// be rounded otherwise, on a device whose exp() or order of adding float64 numbers differs.
/// Throws Error as augment::BatchedPlan does.
///
///     batched::Views views(preset.views.pipelines, at::kCUDA);
///     Batch batch = train::to_device(views(*pass->next()), at::kCUDA);  // of a loader with .make = data::Make::crops
class Views {
public:
    /// `resident` [N, C, H, W], 8 bits: all images, on the device; undefined for batches with crops. Images are made in portions
    /// of about so many numbers a tensor, so that memory does not grow with the batch.
    Views(const std::vector<augment::Pipeline>& pipelines, at::Device device, Tensor resident = {}, std::int64_t portion = std::int64_t{1} << 25)
        : device_(device), resident_(std::move(resident)), portion_(portion), tables_(device) {
        require(!resident_.defined() || (resident_.dim() == 4 && resident_.scalar_type() == at::kByte && resident_.device() == device),
                "batched::Views: the resident images must be an 8-bit tensor [N, C, H, W] on ", device.str());
        std::map<std::string, std::size_t> known;
        for (std::size_t v = 0; v < pipelines.size(); ++v) {
            augment::BatchedPlan plan(pipelines[v]);
            const auto [found, is_new] = known.emplace(plan.kind(), groups_.size());
            if (is_new) groups_.emplace_back(std::move(plan), device, resident_.defined());
            groups_[found->second].views.push_back(v);
        }
    }

    /// Returns the batch with 8-bit views [B, C, size, size] on the device.
    Batch operator()(Batch batch) {
        std::size_t expected = 0;
        for (const Group& group : groups_) expected += group.views.size();
        require(batch.drawn.size() == expected && batch.views.size() == expected, "batched::Views: expected a batch with the draws of ",
                expected, " views, got ", batch.drawn.size(), "; load it with data::Make::crops or data::Make::draws");
        const Autocast exact(device_.type(), Precision::fp32);
        const at::NoTF32Guard no_tf32;
        if (resident_.defined()) batch.index = batch.index.to(device_, /*non_blocking=*/true);
        for (Group& group : groups_) make(group, batch);
        batch.drawn.clear();
        return batch;
    }

private:
    struct Group {
        Group(augment::BatchedPlan shared, at::Device device, bool resident)
            : plan(std::move(shared)), fused(FusedView::of(plan, resident)) {
            for (const auto& step : plan.steps()) {
                const auto* blur = std::get_if<augment::GaussianBlur>(&step.operation);
                blurs.push_back(blur ? std::optional<Blur>(std::in_place, *blur, device) : std::nullopt);
            }
        }
        augment::BatchedPlan plan;
        std::optional<FusedView> fused;
        std::vector<std::optional<Blur>> blurs;  // one for each step
        std::vector<std::size_t> views;
    };

    void make(Group& group, Batch& batch) {
        if (group.fused && device::kernels_usable(device_)) {
            for (const auto v : group.views)
                batch.views[v] = (*group.fused)(resident_.defined() ? resident_ : batch.views[v].to(device_, true),
                                                resident_.defined() ? batch.index : Tensor(), batch.drawn[v].to(device_, true));
            return;
        }
        const auto joined = [&](const std::vector<Tensor>& all) {
            std::vector<Tensor> here;
            for (const auto v : group.views) here.push_back(all[v].to(device_, /*non_blocking=*/true));
            return here.size() == 1 ? here.front() : at::cat(here);
        };
        const Tensor drawn = joined(batch.drawn);  // [V · B, P]
        const std::int64_t rows = drawn.size(0), images = rows / static_cast<std::int64_t>(group.views.size());
        const Tensor from = resident_.defined() ? batch.index.repeat({static_cast<std::int64_t>(group.views.size())}) : joined(batch.views);
        const std::int64_t size = group.plan.size(), channels = group.plan.channels();
        Tensor made = at::empty({rows, channels, size, size}, at::TensorOptions(device_).dtype(at::kByte));
        const std::int64_t at_once = rows_at_once(size, channels);
        for (std::int64_t first = 0; first < rows; first += at_once) {
            const std::int64_t count = std::min(at_once, rows - first);
            const Tensor part = from.narrow(0, first, count), pixels = resident_.defined() ? resident_.index_select(0, part) : part;
            made.narrow(0, first, count).copy_(apply(group, pixels.to(at::kFloat), drawn.narrow(0, first, count)));
        }
        for (std::size_t v = 0; v < group.views.size(); ++v)
            batch.views[group.views[v]] = made.narrow(0, static_cast<std::int64_t>(v) * images, images);
    }

    std::int64_t rows_at_once(std::int64_t size, std::int64_t channels) const {
        std::int64_t most = std::max(channels, std::int64_t{2}) * size * size;
        if (resident_.defined()) {
            const std::int64_t height = resident_.size(2), width = resident_.size(3);
            most = std::max({most, channels * height * width, 4 * size * std::max(height, width)});  // weights are float64
        }
        return std::max(std::int64_t{1}, portion_ / most);
    }

    Tensor apply(Group& group, Tensor x, const Tensor& drawn) {
        const Tensor single = drawn.to(at::kFloat);
        const auto& steps = group.plan.steps();
        for (std::size_t s = resident_.defined() ? 0 : group.plan.crop() + 1; s < steps.size(); ++s) {
            const auto column = static_cast<std::int64_t>(steps[s].column);
            const auto one = [&] { return single.select(1, column).view({-1, 1, 1, 1}); };
            const auto& operation = steps[s].operation;
            if (const auto* crop = std::get_if<augment::RandomResizedCrop>(&operation))
                x = resized_crop(x, drawn.narrow(1, column, 4), crop->size, crop->filter);
            else if (std::holds_alternative<augment::HorizontalFlip>(operation))
                x = flip(x, one().ne(0));
            else if (const auto* jitter = std::get_if<augment::ColorJitter>(&operation))
                x = color_jitter(x, *jitter, single.narrow(1, column, single.size(1) - column), tables_);
            else if (std::holds_alternative<augment::Grayscale>(operation))
                x = grayscale(x, one().ne(0));
            else if (auto& blur = group.blurs[s])
                x = (*blur)(x, drawn.narrow(1, column, blur->columns()));
            else
                x = solarize(x, one());
        }
        return x;
    }

    at::Device device_;
    Tensor resident_;
    std::int64_t portion_;
    HueTables tables_;
    std::vector<Group> groups_;
};

}  // namespace doppel::batched
