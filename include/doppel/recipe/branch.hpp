// SPDX-License-Identifier: Apache-2.0
// An encoder and its projector, built together and run together: what a method has one or two of.
#pragma once

#include <doppel/contracts/encoder.hpp>
#include <doppel/contracts/head.hpp>
#include <doppel/contracts/queue.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/module.hpp>
#include <doppel/recipe/masked_patches.hpp>
#include <doppel/recipe/recipe.hpp>
#include <doppel/recipe/split_batch_norm.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace doppel::detail {

/// A holder that holds nothing, or None.
template <class M>
M empty() {
    if constexpr (std::same_as<M, None> || !std::constructible_from<M, std::nullptr_t>)
        return M{};
    else
        return M(nullptr);
}

/// The module that a head spec builds, and the memory that a queue spec builds; None for an empty slot.
template <class Spec>
struct HeadModule {
    using type = decltype(contracts::make_head(std::declval<const Spec&>(), 0).module);
};
template <>
struct HeadModule<None> {
    using type = None;
};
template <class Spec>
struct QueueMemory {
    using type = decltype(std::declval<const Spec&>().build(0));
};
template <>
struct QueueMemory<None> {
    using type = None;
};

/// What `head` gives for all defined tensors [B, F] in one pass; undefined ones stay undefined.
template <class Head>
std::vector<Tensor> in_one_pass(const std::vector<Tensor>& views, Head&& head) {
    std::vector<Tensor> parts, results(views.size());
    std::vector<std::int64_t> sizes;
    for (const Tensor& z : views)
        if (z.defined()) {
            parts.push_back(z);
            sizes.push_back(z.size(0));
        }
    if (parts.empty()) return results;
    const auto split = head(parts.size() == 1 ? parts[0] : at::cat(parts)).split_with_sizes(sizes);
    auto next = split.begin();
    for (std::size_t v = 0; v < views.size(); ++v)
        if (views[v].defined()) results[v] = *next++;
    return results;
}

/// The wanted views in the order in which they pass: one by one, or with `join` all of one size together.
inline std::vector<std::vector<std::size_t>> passes_of(const std::vector<Tensor>& views, const std::vector<bool>& wanted,
                                                       bool join) {
    std::vector<std::vector<std::size_t>> passes;
    std::vector<bool> open = wanted;
    for (std::size_t i = 0; i < views.size(); ++i) {
        if (!open[i]) continue;
        passes.push_back({i});
        for (std::size_t j = i + 1; join && j < views.size(); ++j)
            if (open[j] && views[j].sizes() == views[i].sizes()) {
                passes.back().push_back(j);
                open[j] = false;
            }
    }
    return passes;
}

/// What a branch gives; the lists have one entry a view, undefined where the view was not wanted.
struct BranchOutput {
    std::vector<Tensor> features{}, projected{};
    Tensor patches{}, patch_weight{};  ///< projections of the masked patches [M, D], and as Patches::weight
};

template <class EncoderSpec, class ProjectorSpec>
struct Branch {
    static constexpr bool projects = !std::same_as<ProjectorSpec, None>;

    using Encoder = decltype(contracts::make_encoder(std::declval<const EncoderSpec&>()));
    using Projector = typename HeadModule<ProjectorSpec>::type;

    Encoder encoder = empty<Encoder>();
    Projector projector = empty<Projector>();
    std::int64_t feature_dim = 0, out = 0;

    Branch(const EncoderSpec& encoder_spec, const ProjectorSpec& projector_spec)
        : encoder(contracts::make_encoder(encoder_spec)) {
        feature_dim = out = encoder->feature_dim();
        require(feature_dim >= 1, "Recipe.encoder: feature_dim() must be at least 1, got ", feature_dim);
        if constexpr (projects) {
            auto built = contracts::make_head(projector_spec, feature_dim);
            projector = built.module;
            out = built.out;
        }
    }

    void register_in(torch::nn::Module& parent) {
        parent.register_module("encoder", encoder);
        if constexpr (projects) parent.register_module("projector", projector);
    }

    std::vector<torch::nn::Module*> modules() {
        std::vector<torch::nn::Module*> all{&*encoder};
        if constexpr (projects) all.push_back(&*projector);
        return all;
    }

    /// Encoder's, then projector's, in order of registration.
    std::vector<Tensor> parameters() {
        std::vector<Tensor> all;
        for (const torch::nn::Module* module : modules())
            for (const Tensor& parameter : module->parameters()) all.push_back(parameter);
        return all;
    }

    /// Fills parameters and buffers by name from another branch, and takes the gradients off.
    void copy_from(Branch& other) {
        const at::NoGradGuard no_grad;
        const auto fill = [](auto target, const auto& source, const char* what) {
            require(target.size() == source.size(), "Recipe.target: building the encoder twice gave ", source.size(), " and ",
                    target.size(), " ", what, "; the spec must give the same structure each time");
            for (const auto& item : source) {
                Tensor* value = target.find(item.key());
                require(value && value->sizes() == item.value().sizes(),
                        "Recipe.target: building the encoder twice gave different ", what, " (", item.key(),
                        "); the spec must give the same structure each time");
                require(!value->is_alias_of(item.value()) || value->numel() == 0,
                        "Recipe.target: both networks share the storage of ", item.key(),
                        "; the spec must make a new module each time");
                value->copy_(item.value());
            }
        };
        const auto to = modules(), from = other.modules();
        for (std::size_t i = 0; i < to.size(); ++i) {
            fill(to[i]->named_parameters(), from[i]->named_parameters(), "parameters");
            fill(to[i]->named_buffers(), from[i]->named_buffers(), "buffers");
            for (Tensor& parameter : to[i]->parameters()) parameter.requires_grad_(false);
        }
    }

    /// What a pass needs that is drawn at random, as Batch::masked and Batch::orders; empty lists: nothing.
    struct Drawn {
        const std::vector<MaskedPatches>* masked = nullptr;
        bool visible = false;  ///< the encoder sees the masked patches all the same
        const std::vector<Tensor>* orders = nullptr;
        const Group* group = nullptr;  ///< with the images of the batch; null: this process alone
    };

    /// Features and projections of the wanted views, with their masked patches where there are masks.
    BranchOutput forward(const std::vector<Tensor>& views, const std::vector<bool>& wanted, const ForwardLayout& layout,
                         const Drawn& drawn) {
        BranchOutput result{.features = std::vector<Tensor>(views.size()), .projected = std::vector<Tensor>(views.size())};
        std::vector<Tensor> patches, weights;
        const Group group = drawn.group ? *drawn.group : Group{};
        for (const auto& members : passes_of(views, wanted, layout.join_views)) {
            std::vector<Tensor> parts;
            for (const auto v : members) parts.push_back(views[v]);
            Tensor x = parts.size() == 1 ? parts[0] : at::cat(parts);
            const Tensor order = layout.shuffle_target && drawn.orders && !drawn.orders->empty() ? drawn.orders->at(members.front()) : Tensor{};
            if (order.defined()) x = shuffled(x, order[0], group);
            Pass pass = pass_of(x, members, layout, drawn);  // [members · B, F], [members · B, D]
            if (order.defined()) pass = {shuffled(pass.features, order[1], group), shuffled(pass.projected, order[1], group)};
            if (pass.patches.defined()) {
                patches.push_back(pass.patches);
                weights.push_back(pass.patch_weight);
            }
            const auto count = static_cast<std::int64_t>(members.size());
            const auto features = pass.features.chunk(count), projected = pass.projected.chunk(count);
            for (std::size_t k = 0; k < members.size(); ++k) {
                result.features[members[k]] = features[k];
                result.projected[members[k]] = projected[k];
            }
        }
        if (layout.join_heads && projects)
            result.projected = in_one_pass(result.features, [&](const Tensor& h) { return project(h); });
        if (!patches.empty()) {
            result.patches = project(at::cat(patches));
            result.patch_weight = at::cat(weights);
        }
        return result;
    }

private:
    struct Pass {
        Tensor features{}, projected{}, patches{}, patch_weight{};
    };

    Tensor project(const Tensor& h) {
        if constexpr (projects)
            return projector->forward(h);
        else
            return h;
    }

    /// One pass; the projector waits where it takes all views together.
    Pass pass_of(const Tensor& x, const std::vector<std::size_t>& members, const ForwardLayout& layout, const Drawn& drawn) {
        if constexpr (contracts::PatchEncoder<Encoder>)
            if (drawn.masked && !drawn.masked->empty())
                if (const MaskedPatches& masked = drawn.masked->at(members.front()); masked.mask.defined()) {
                    const MaskedFeatures seen = encode_masked(encoder, x, masked, drawn.visible, !drawn.group || drawn.group->alone());
                    return {seen.features, layout.join_heads ? seen.features : project(seen.features), seen.patches, seen.weight};
                }
        if (layout.bn_groups == 1) return encode(x, !layout.join_heads);
        std::vector<Tensor> features, projected;
        for (const Pass& part : split_batch_norm(x, layout.bn_groups, modules(), [&](const Tensor& rows) { return encode(rows, true); })) {
            features.push_back(part.features);
            projected.push_back(part.projected);
        }
        return {at::cat(features), at::cat(projected)};
    }

    Pass encode(const Tensor& x, bool project_now) {
        const Tensor h = encoder->forward(x);
        require(h.dim() == 2 && h.size(1) == feature_dim, "Recipe.encoder must give [B, ", feature_dim,
                "] (its feature_dim()), got ", h.sizes());
        return {h, project_now ? project(h) : h};
    }
};

}  // namespace doppel::detail
