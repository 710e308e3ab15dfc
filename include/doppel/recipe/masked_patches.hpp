// SPDX-License-Identifier: Apache-2.0
// Patches that are masked (masked image modeling): which ones, and what a network makes of them.
#pragma once

#include <doppel/contracts/encoder.hpp>
#include <doppel/contracts/loss.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/random.hpp>
#include <doppel/core/tensor.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace doppel::detail {

/// Which patches of each view are masked.
struct PatchMasks {
    std::vector<Tensor> views{};  ///< bool [B, N] on the CPU; undefined: nothing of the view is masked
    bool visible = false;         ///< the encoder sees the masked patches all the same (target)

    /// The same places, seen by the encoder.
    PatchMasks shown() const { return {views, true}; }
    std::int64_t images() const {
        std::int64_t count = 0;
        for (const Tensor& mask : views)
            if (mask.defined()) count += mask.size(0);
        return count;
    }
};

/// Draws the masks of the global views by the loss's mask(): functions of seed, step, image and view. `pass`: forward
/// passes since the last commit().
template <contracts::MaskingLoss Loss, class Encoder>
PatchMasks draw_masks(const Loss& loss, Encoder& encoder, const Batch& batch, std::uint64_t seed, std::int64_t step,
                      std::size_t pass) {
    std::vector<Tensor> all(batch.views.size());
    for (std::size_t v = 0; v < static_cast<std::size_t>(batch.globals) && v < all.size(); ++v) {
        const Tensor& view = batch.views[v];
        const auto [rows, columns] = encoder->grid(view.size(2), view.size(3));
        all[v] = at::zeros({view.size(0), rows * columns}, at::kBool);
        bool* place = all[v].template mutable_data_ptr<bool>();
        const std::int64_t before = view.size(0) * static_cast<std::int64_t>(pass);
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
    return {std::move(all)};
}

/// Features of images, and what the encoder makes of their masked patches.
struct MaskedFeatures {
    Tensor features{};  ///< [rows, F]
    Tensor patches{};   ///< [M, F]; undefined: nothing is masked
    Tensor weight{};    ///< [M], as Patches::weight
};

/// One pass of x, the views `members` one after the other, of which at least one has a mask.
template <class Encoder>
MaskedFeatures encode_masked(Encoder& encoder, const Tensor& x, const std::vector<std::size_t>& members,
                             const PatchMasks& masks) {
    Tensor known;
    for (const std::size_t v : members)
        if (masks.views[v].defined()) known = masks.views[v];
    std::vector<Tensor> parts;
    for (const std::size_t v : members) parts.push_back(masks.views[v].defined() ? masks.views[v] : at::zeros_like(known));
    const Tensor mask = at::cat(parts), places = mask.flatten().nonzero().squeeze(1);  // on the CPU: no sync
    const auto seen = encoder->with_patches(x, masks.visible ? Tensor{} : mask.to(x.device(), true));
    if (places.numel() == 0) return {seen.features};
    const Tensor share = mask.to(at::kFloat) / mask.sum(1, true).clamp_min(1);
    const Tensor weight = share.flatten().index_select(0, places) / static_cast<double>(masks.images());
    return {seen.features, seen.patches.flatten(0, 1).index_select(0, places.to(x.device(), true)), weight.to(x.device(), true)};
}

}  // namespace doppel::detail
