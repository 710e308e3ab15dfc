// SPDX-License-Identifier: Apache-2.0
// An encoder and its projector, built together and run together: what a method has one or two of.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/module.hpp>
#include <doppel/recipe/concepts.hpp>

#include <cstdint>
#include <functional>
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
    using type = decltype(slots::make_head(std::declval<const Spec&>(), 0).module);
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

/// Takes all defined tensors [B, F] through `head` in one pass.
template <class Head>
void together(std::vector<Tensor>& views, Head&& head) {
    std::vector<Tensor> parts;
    std::vector<std::int64_t> sizes;
    for (const Tensor& z : views)
        if (z.defined()) {
            parts.push_back(z);
            sizes.push_back(z.size(0));
        }
    if (parts.empty()) return;
    const auto results = head(parts.size() == 1 ? parts[0] : at::cat(parts)).split_with_sizes(sizes);
    auto next = results.begin();
    for (Tensor& z : views)
        if (z.defined()) z = *next++;
}

template <class EncoderSpec, class ProjectorSpec>
struct Branch {
    static constexpr bool projects = !std::same_as<ProjectorSpec, None>;

    using Encoder = decltype(slots::make_encoder(std::declval<const EncoderSpec&>()));
    using Projector = typename HeadModule<ProjectorSpec>::type;

    Encoder encoder = empty<Encoder>();
    Projector projector = empty<Projector>();
    std::int64_t feature_dim = 0, out = 0;

    Branch(const EncoderSpec& encoder_spec, const ProjectorSpec& projector_spec)
        : encoder(slots::make_encoder(encoder_spec)) {
        feature_dim = out = encoder->feature_dim();
        require(feature_dim >= 1, "Recipe.encoder: feature_dim() must be at least 1, got ", feature_dim);
        if constexpr (projects) {
            auto built = slots::make_head(projector_spec, feature_dim);
            projector = built.module;
            out = built.out;
        }
    }

    void register_in(torch::nn::Module& parent) {
        parent.register_module("encoder", encoder);
        if constexpr (projects) parent.register_module("projector", projector);
    }

    /// Fills parameters and buffers by name from another branch, and takes the gradients off.
    void copy_from(const Branch& other) {
        const at::NoGradGuard no_grad;
        each(other, [](torch::nn::Module& to, const torch::nn::Module& from) {
            auto fill = [](auto target, const auto& source, const char* what) {
                require(target.size() == source.size(), "Ema: building the encoder twice gave ", source.size(), " and ",
                        target.size(), " ", what, "; the spec must give the same structure each time");
                for (const auto& item : source) {
                    Tensor* value = target.find(item.key());
                    require(value && value->sizes() == item.value().sizes(),
                            "Ema: building the encoder twice gave different ", what, " (", item.key(),
                            "); the spec must give the same structure each time");
                    require(!value->is_alias_of(item.value()) || value->numel() == 0,
                            "Ema: both networks share the storage of ", item.key(),
                            "; the spec must make a new module each time");
                    value->copy_(item.value());
                }
            };
            fill(to.named_parameters(), from.named_parameters(), "parameters");
            fill(to.named_buffers(), from.named_buffers(), "buffers");
            for (Tensor& parameter : to.parameters()) parameter.requires_grad_(false);
        });
    }

    /// ξ ← m ξ + (1 − m) θ over the parameters, in order of registration (equal by construction).
    void follow(const Branch& online, double m) {
        const at::NoGradGuard no_grad;
        each(online, [m](torch::nn::Module& to, const torch::nn::Module& from) {
            const auto target = to.parameters(), source = from.parameters();
            if (!target.empty()) at::_foreach_lerp_(target, source, 1 - m);
        });
    }

    /// How run() cuts a batch.
    struct Cut {
        bool join = false;                                        ///< views of one size together
        bool join_heads = false;                                  ///< all views' features through the projector together
        std::int64_t groups = 1;                                  ///< BatchNorm batches of a pass
        std::function<Tensor(std::int64_t, std::size_t)> order{}; ///< (rows, view) → permutation [rows]; none: as they are
    };

    /// Patches that are hidden from the encoder, and what it says of them all the same.
    struct Hidden {
        std::vector<Tensor> masks{};  ///< a view: bool [B, N] on the CPU; undefined: nothing is hidden
        bool shown = false;           ///< the encoder sees them, and is asked about the same places (target)
        Tensor projected{}, weight{}; ///< as in Patches
    };

    /// Features and projections of the views that are seen; the lists get one entry a view.
    void run(const std::vector<Tensor>& views, const std::vector<bool>& seen, const Cut& cut, std::vector<Tensor>& features,
             std::vector<Tensor>& projections, Hidden* hidden = nullptr) {
        std::vector<Tensor> patches, weights;
        features.resize(views.size());
        projections.resize(views.size());
        for (std::size_t i = 0; i < views.size(); ++i) {
            if (!seen[i] || projections[i].defined()) continue;
            std::vector<std::size_t> members{i};
            if (cut.join)
                for (std::size_t j = i + 1; j < views.size(); ++j)
                    if (seen[j] && views[j].sizes() == views[i].sizes()) members.push_back(j);
            std::vector<Tensor> parts;
            for (const auto j : members) parts.push_back(views[j]);
            Tensor x = parts.size() == 1 ? parts[0] : at::cat(parts);
            Tensor back;
            if (cut.order) {
                const Tensor order = cut.order(x.size(0), i).to(x.device());
                x = x.index_select(0, order);
                back = order.argsort();
            }
            auto [h, z] = [&] {                                                 // [members · B, F], [members · B, D]
                if constexpr (slots::PatchEncoder<Encoder>)
                    if (hidden) return with_hidden(x, members, cut, *hidden, patches, weights);
                return in_groups(x, cut);
            }();
            if (back.defined()) {
                h = h.index_select(0, back);
                z = z.index_select(0, back);
            }
            const auto hs = h.chunk(static_cast<std::int64_t>(members.size())),
                       zs = z.chunk(static_cast<std::int64_t>(members.size()));
            for (std::size_t k = 0; k < members.size(); ++k) {
                features[members[k]] = hs[k];
                projections[members[k]] = zs[k];
            }
        }
        if (cut.join_heads && projects)
            together(projections, [&](const Tensor& h) { return project(h); });
        if (!patches.empty()) {
            hidden->projected = project(at::cat(patches));
            hidden->weight = at::cat(weights);
        }
    }

private:
    struct Passed {
        Tensor h, z;
    };

    Tensor project(const Tensor& h) {
        if constexpr (projects)
            return projector->forward(h);
        else
            return h;
    }

    Passed pass(const Tensor& x, bool project_now = true) {
        const Tensor h = encoder->forward(x);
        require(h.dim() == 2 && h.size(1) == feature_dim, "Recipe.encoder must give [B, ", feature_dim,
                "] (its feature_dim()), got ", h.sizes());
        return {h, project_now ? project(h) : h};
    }

    /// A pass that also says what the encoder makes of the hidden places.
    Passed with_hidden(const Tensor& x, const std::vector<std::size_t>& members, const Cut& cut, const Hidden& hidden,
                       std::vector<Tensor>& patches, std::vector<Tensor>& weights) {
        Tensor first;
        for (const std::size_t v : members)
            if (hidden.masks[v].defined()) first = hidden.masks[v];
        if (!first.defined()) return pass(x, !cut.join_heads);
        std::vector<Tensor> parts;
        for (const std::size_t v : members)
            parts.push_back(hidden.masks[v].defined() ? hidden.masks[v] : at::zeros_like(first));
        const Tensor mask = at::cat(parts), places = mask.flatten().nonzero().squeeze(1);  // on the CPU: no sync
        const auto said = encoder->with_patches(x, hidden.shown ? Tensor{} : mask.to(x.device(), true));
        if (places.numel() > 0) {
            patches.push_back(said.patches.flatten(0, 1).index_select(0, places.to(x.device(), true)));
            const Tensor share = mask.to(at::kFloat) / mask.sum(1, true).clamp_min(1);
            std::int64_t images = 0;
            for (const Tensor& m : hidden.masks)
                if (m.defined()) images += m.size(0);
            weights.push_back((share.flatten().index_select(0, places) / static_cast<double>(images)).to(x.device(), true));
        }
        return {said.features, cut.join_heads ? said.features : project(said.features)};
    }

    /// A pass in `groups` parts. The running statistics start from the same values for each and end as their mean.
    Passed in_groups(const Tensor& x, const Cut& cut) {
        const std::int64_t groups = cut.groups;
        if (groups == 1) return pass(x, !cut.join_heads);
        require(groups >= 1 && x.size(0) % groups == 0 && x.size(0) / groups >= 2, "Recipe.passes.bn_groups = ", groups,
                " must cut a batch of ", x.size(0), " into equal parts of at least 2 images");
        // By variable_data(): what autograd has saved of an earlier part must not count as changed.
        std::vector<Tensor> statistics, counts;
        each(*this, [&](torch::nn::Module& module, torch::nn::Module&) {
            for (const auto& item : module.named_buffers()) {
                if (item.key().ends_with("running_mean") || item.key().ends_with("running_var"))
                    statistics.push_back(item.value().variable_data());
                else if (item.key().ends_with("num_batches_tracked"))
                    counts.push_back(item.value().variable_data());
            }
        });
        std::vector<Tensor> before, counts_before, sums, h, z;
        for (const Tensor& count : counts) counts_before.push_back(count.clone());
        for (const Tensor& value : statistics) before.push_back(value.clone());
        for (const Tensor& value : statistics) sums.push_back(at::zeros_like(value));
        for (const Tensor& part : x.chunk(groups)) {
            for (std::size_t i = 0; i < statistics.size(); ++i) statistics[i].copy_(before[i]);
            const auto passed = pass(part);
            h.push_back(passed.h);
            z.push_back(passed.z);
            for (std::size_t i = 0; i < statistics.size(); ++i) sums[i].add_(statistics[i]);
        }
        for (std::size_t i = 0; i < statistics.size(); ++i)
            statistics[i].copy_(sums[i] / static_cast<double>(groups));
        for (std::size_t i = 0; i < counts.size(); ++i)  // one pass, in parts
            counts[i].copy_(counts_before[i] + (counts[i] - counts_before[i]).div(groups, "floor"));
        return {at::cat(h), at::cat(z)};
    }

    template <class Other, class Action>
    void each(Other& other, Action&& action) {
        action(*encoder, *other.encoder);
        if constexpr (projects) action(*projector, *other.projector);
    }
};

}  // namespace doppel::detail
