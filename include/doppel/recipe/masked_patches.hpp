// SPDX-License-Identifier: Apache-2.0
// Patches that are masked (masked image modeling): which ones, and what a network makes of them.
#pragma once

#include <doppel/contracts/encoder.hpp>
#include <doppel/contracts/loss.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/random.hpp>
#include <doppel/core/tensor.hpp>

#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace doppel::detail {

/// Draws the masks of the global views by the loss's mask(), bool [B, N] on the CPU each; undefined: nothing of the view is
/// masked. Functions of seed, step, image and view. `pass`: forward passes since the last commit().
template <contracts::MaskingLoss Loss, class Encoder>
std::vector<Tensor> draw_masks(const Loss& loss, Encoder& encoder, const Batch& batch, std::uint64_t seed, std::int64_t step,
                               std::size_t pass) {
    std::vector<Tensor> all(batch.views.size());
    for (std::size_t v = 0; v < static_cast<std::size_t>(batch.globals) && v < all.size(); ++v) {
        const Tensor& view = batch.views[v];
        const auto [rows, columns] = encoder->grid(view.size(2), view.size(3));
        all[v] = at::zeros({view.size(0), rows * columns}, at::kBool);
        bool* place = all[v].template mutable_data_ptr<bool>();
        const std::int64_t before = (batch.all > 0 ? batch.all : view.size(0)) * static_cast<std::int64_t>(pass) + batch.first;
        for (std::int64_t i = 0; i < view.size(0); ++i) {
            const random::Stream draw({.seed = seed,
                                       .purpose = random::Purpose::mask,
                                       .epoch = static_cast<std::uint64_t>(step),
                                       .index = static_cast<std::uint64_t>(before + i),
                                       .view = v});
            const std::vector<bool> one = loss.mask(rows, columns, draw);
            require(static_cast<std::int64_t>(one.size()) == rows * columns, "Recipe.loss: mask() must say of ", rows,
                    " x ", columns, " patches whether they are masked, it gave ", one.size());
            place = std::copy(one.begin(), one.end(), place);
        }
    }
    return all;
}

/// What of the views `members`, which pass together in this order, is masked; on the CPU. `multiple`: the number of places
/// is filled up to a multiple of it by places without weight, so that it seldom changes.
inline MaskedPatches masked_patches(const std::vector<Tensor>& masks, const std::vector<std::size_t>& members,
                                    std::int64_t multiple = 1) {
    Tensor known;
    std::int64_t images = 0;  // with a mask, in the whole batch
    for (const Tensor& mask : masks)
        if (mask.defined()) images += mask.size(0);
    for (const std::size_t v : members)
        if (masks[v].defined()) known = masks[v];
    if (!known.defined()) return {};
    std::vector<Tensor> parts;
    for (const std::size_t v : members) parts.push_back(masks[v].defined() ? masks[v] : at::zeros_like(known));
    MaskedPatches result{.mask = at::cat(parts)};
    result.places = result.mask.flatten().nonzero().squeeze(1);
    const Tensor share = result.mask.to(at::kFloat) / result.mask.sum(1, true).clamp_min(1);
    result.weight = share.flatten().index_select(0, result.places) / static_cast<double>(images);
    if (const std::int64_t rest = result.places.size(0) % multiple; rest > 0) {
        result.places = at::constant_pad_nd(result.places, {0, multiple - rest});
        result.weight = at::constant_pad_nd(result.weight, {0, multiple - rest});
    }
    return result;
}

/// Features of images, and what the encoder makes of their masked patches.
struct MaskedFeatures {
    Tensor features{};  ///< [rows, F]
    Tensor patches{};   ///< [M, F]; undefined: nothing is masked
    Tensor weight{};    ///< [M], as Patches::weight
};

/// One pass of x. `visible`: the encoder sees the masked patches all the same (target). `alone`: where nothing is masked, there are no
/// patches; else there are none of them, [0, F], for a head that takes part in what other processes compute.
template <class Encoder>
MaskedFeatures encode_masked(Encoder& encoder, const Tensor& x, const MaskedPatches& masked, bool visible, bool alone = true) {
    const auto seen = encoder->with_patches(x, visible ? Tensor{} : masked.mask);
    if (alone && masked.places.numel() == 0) return {seen.features};
    return {seen.features, seen.patches.flatten(0, 1).index_select(0, masked.places), masked.weight};
}

}  // namespace doppel::detail
