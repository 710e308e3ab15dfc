// SPDX-License-Identifier: Apache-2.0
// How the parts of a recipe see the outputs of several processes.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/contracts/part.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/batch_norm.hpp>
#include <doppel/core/collectives.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/module.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/recipe/recipe.hpp>

#include <ATen/ops/full.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <numeric>
#include <utility>
#include <vector>

namespace doppel::detail {

/// How many rows each process has. Waits on the host.
inline std::vector<std::int64_t> counted_rows(std::int64_t mine, const Group& group, at::Device device) {
    const Tensor own = at::full({1}, mine, at::TensorOptions(device).dtype(at::kLong)), all = gather_rows(own, Group(group).with_images({}));
    const Tensor counts = all.cpu();
    return {counts.const_data_ptr<std::int64_t>(), counts.const_data_ptr<std::int64_t>() + counts.numel()};
}

/// The group with the images that each process has of a batch: by Batch::all, or, if nobody said, by asking.
inline Group group_for(const Batch& batch, const Group& group, std::int64_t bn_groups = 1) {
    if (group.alone()) return group;
    const std::int64_t own = batch.views.front().size(0);
    if (batch.all == 0) return group.with_images(counted_rows(own, group, batch.views.front().device()));
    require(bn_groups == 1 || batch.all % bn_groups == 0, "bn_groups (Recipe.layout, --bn-groups) = ", bn_groups, " must split the whole batch of ",
            batch.all, " images into equal parts");
    std::vector<std::int64_t> images;
    for (int r = 0; r < group.size(); ++r) images.push_back(rows_of(batch.all, r, group.size()).count);
    require(images[static_cast<std::size_t>(group.rank())] == own, "Method: process ", group.rank(), " of ", group.size(), " has ",
            own, " images of a batch of ", batch.all, ", expected ", images[static_cast<std::size_t>(group.rank())], " (Batch::all)");
    return group.with_images(std::move(images));
}

/// The outputs of all processes as those of one batch: views, index, label and masked patches. `whole`: features and
/// projections too, which pair losses do not look at.
inline Outputs gathered(Outputs out, const Group& group, bool whole) {
    std::map<const void*, Tensor> known;  // a tensor that stands in several places travels once
    const auto gather = [&](Tensor& z) {
        if (!z.defined()) return;
        Tensor& all = known[z.unsafeGetTensorImpl()];
        if (!all.defined()) all = doppel::gathered(z, group);
        z = all;
    };
    std::vector<Tensor> kept = std::exchange(out.features, {});  // so that no address in `known` is used again
    std::vector<Tensor> projections = out.projected, online = out.online, target = out.target;
    if (whole) {
        out.features = kept;
        for (Tensor& z : out.features) gather(z);
        for (Tensor& z : out.projected) gather(z);
    } else {
        out.projected.clear();
    }
    for (Tensor& z : out.online) gather(z);
    for (Tensor& z : out.target) gather(z);
    out.index = out.index.defined() ? doppel::gathered(out.index, group) : out.index;
    out.label = out.label.defined() ? doppel::gathered(out.label, group) : out.label;
    return out;
}

/// The masked patches of all processes: each has another number of them. `like` [n, D] tells type and width where this process
/// has none.
inline Patches gathered(Patches patches, const Group& group, const Tensor& like) {
    if (!patches.online.defined()) {
        patches.online = like.narrow(0, 0, 0);
        patches.weight = at::full({0}, 0, like.options().requires_grad(false));
    }
    if (!patches.target.defined()) patches.target = patches.online.detach();
    const auto counts = counted_rows(patches.online.size(0), group, like.device());
    if (std::accumulate(counts.begin(), counts.end(), std::int64_t{0}) == 0) return {};
    const Group by_patches = group.with_images(counts);
    const double share = group.weight() / group.size();  // this process's images of all
    return {.online = doppel::gathered(patches.online, by_patches),
            .target = doppel::gathered(patches.target, by_patches),
            .weight = doppel::gathered(patches.weight * share, by_patches)};
}

/// The layout of this process's part: bn_groups of the whole batch are shared by the processes.
inline ForwardLayout layout_for(ForwardLayout layout, const Group& group) {
    if (group.alone() || (layout.bn_groups == 1 && !layout.shuffle_target)) return layout;
    require(!layout.join_views, "Recipe.layout: join_views with bn_groups or shuffle_target would join other images on ", group.size(),
            " processes than on one");
    if (layout.bn_groups == 1) return layout;
    require(layout.bn_groups % group.size() == 0, "bn_groups (Recipe.layout, --bn-groups) = ", layout.bn_groups,
            " are groups of the whole batch, which ", group.size(), " processes cannot share equally; choose a multiple of ", group.size());
    layout.bn_groups /= group.size();
    return layout;
}

/// The BatchNorm layers below `method` use the statistics of all processes of the group; alone: of their own.
/// Throws Error for layers that know nothing of other processes.
inline void share_statistics(torch::nn::Module& method, const Group& group) {
    for (const auto& item : method.named_modules("", /*include_self=*/false)) {
        auto* layer = dynamic_cast<SplitsBatch*>(item.value().get());
        if (layer) layer->group = group;
        require(layer || group.alone() || !item.value()->named_buffers(/*recurse=*/false).contains("running_mean"), item.key(), " (",
                item.value()->name(), ") normalizes by the batch of its own process alone; use doppel::BatchNorm1d or 2d, or let each "
                "process have its own statistics (--no-sync-batch-norm)");
    }
}

/// Running statistics below `method` that each process moved by its own part: their mean stays in all, as SplitBN's groups do in one
/// process.
inline void average_statistics(const torch::nn::Module& method, const Group& group) {
    if (group.alone()) return;
    std::vector<Tensor> statistics;
    for (const auto& item : method.named_modules("", /*include_self=*/false)) {
        const auto* layer = dynamic_cast<const SplitsBatch*>(item.value().get());
        if (layer && !layer->group.alone()) continue;  // moved by all together
        for (const auto& buffer : item.value()->named_buffers(/*recurse=*/false))
            if (buffer.key() == "running_mean" || buffer.key() == "running_var") statistics.push_back(buffer.value());
    }
    as_one(statistics, [&](Tensor& all) {
        group.collectives().sum(all);
        all.div_(group.size());
    });
}

/// commit() of a part, with what it gets on several processes.
template <class P>
void commit_on(P& part, const Outputs& out, const Group& group, const Tensor& bad) {
    if (group.alone()) return contracts::commit(part, out, bad);
    if constexpr (contracts::Joins<P>) {
        part.join(group);
        contracts::commit(part, out, bad);
    } else {
        Outputs all = gathered(out, group, /*whole=*/true);
        if constexpr (contracts::MaskingLoss<P>)
            for (const Tensor& z : out.online)
                if (z.defined()) {
                    all.patches = gathered(out.patches, group, z);
                    break;
                }
        contracts::commit(part, all, bad);
    }
}

}  // namespace doppel::detail
