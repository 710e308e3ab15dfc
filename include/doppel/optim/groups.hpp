// SPDX-License-Identifier: Apache-2.0
// Parameter groups: which parameters decay, which have a learning rate of their own, which stay as they are.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace doppel::optim {

/// Parameters with their names, in the order of the network.
using NamedParameters = std::vector<std::pair<std::string, Tensor>>;

/// Parameters that are trained alike.
struct Group {
    NamedParameters parameters;
    double weight_decay = 0;           ///< ≥ 0
    double lr_scale = 1;               ///< multiplies the step's learning rate, ≥ 0
    std::optional<double> fixed_lr{};  ///< a learning rate that follows no schedule, in place of the step's; ≥ 0
    bool adapt = true;                 ///< whether LARS scales the step of each parameter to its norm
};

using Groups = std::vector<Group>;

/// True for the parameters that usually do not decay: biases, and the scales and offsets of normalization layers.
/// The rule is the shape: at most one dimension.
inline bool is_norm_or_bias(const Tensor& parameter) { return parameter.dim() <= 1; }

/// Two groups: one with `weight_decay`, and one of norm and bias parameters without, and without LARS's adaptation.
/// An empty group is left out.
///
///     auto groups = optim::split_by_decay(method.trainable(), 1e-4);
inline Groups split_by_decay(const NamedParameters& parameters, double weight_decay) {
    Group decayed{.parameters = {}, .weight_decay = weight_decay}, plain{.parameters = {}, .adapt = false};
    for (const auto& item : parameters)
        (is_norm_or_bias(item.second) ? plain : decayed).parameters.push_back(item);
    Groups groups;
    for (auto* group : {&decayed, &plain})
        if (!group->parameters.empty()) groups.push_back(std::move(*group));
    return groups;
}

/// Parameters by shape.
enum class Shapes {
    all,
    norm_and_bias,  ///< at most one dimension
    weights,        ///< two dimensions and more
};

/// What is different about some parameters. What a rule leaves out stays as it is.
///
///     optim::Rule{.matches = "predictor.", .fixed_lr = 0.05}                         // SimSiam's --fix-pred-lr
///     optim::Rule{.shapes = optim::Shapes::norm_and_bias, .lr_scale = 0.0048 / 0.2}  // Barlow Twins
///     optim::Rule{.matches = "patch_embed.", .frozen = true}
struct Rule {
    std::string matches{};                 ///< a part of the name: "predictor."; "": every name
    Shapes shapes = Shapes::all;           ///< and of which shape
    std::optional<double> lr_scale{};      ///< multiplies the step's learning rate, ≥ 0
    std::optional<double> fixed_lr{};      ///< a learning rate that follows no schedule, ≥ 0; instead of lr_scale
    bool peak_lr = false;                  ///< the optimizer's own lr throughout, which is the peak of a preset's schedule
    std::optional<double> weight_decay{};  ///< ≥ 0
    std::optional<bool> adapt{};           ///< LARS's adaptation
    bool frozen = false;                   ///< in no group: the optimizer leaves them alone

    bool holds_for(const std::string& name, const Tensor& parameter) const {
        const bool shape = shapes == Shapes::all || (shapes == Shapes::norm_and_bias) == is_norm_or_bias(parameter);
        return shape && name.find(matches) != std::string::npos;
    }

    /// Whom it is about: "'predictor.'", "biases and normalization of 'encoder.'".
    std::string subject() const {
        const std::string whose = matches.empty() ? "" : "'" + matches + "'";
        if (shapes == Shapes::all) return matches.empty() ? "all parameters" : whose;
        return (shapes == Shapes::weights ? "weights" : "biases and normalization") +
               (matches.empty() ? "" : " of " + whose);
    }

    /// "'predictor.': learning rate 0.05 throughout".
    std::string describe() const {
        std::ostringstream text;
        text << subject();
        const char* between = ": ";
        const auto say = [&](const auto&... parts) {
            ((text << between) << ... << parts);
            between = ", ";
        };
        if (frozen) say("not trained");
        if (lr_scale) say("learning rate times ", *lr_scale);
        if (fixed_lr) say("learning rate ", *fixed_lr, " throughout");
        if (peak_lr) say("peak learning rate throughout");
        if (weight_decay) say("weight decay ", *weight_decay);
        if (adapt) say(*adapt ? "adapted" : "not adapted");
        return text.str();
    }
};

using Rules = std::vector<Rule>;

/// The rules of an optimizer whose own learning rate is `lr`: those with peak_lr get it as their fixed_lr.
inline Rules at_peak(Rules rules, double lr) {
    for (Rule& rule : rules)
        if (rule.peak_lr) rule.fixed_lr = lr;
    return rules;
}

/// Groups by rules. At first each parameter has `weight_decay` and is adapted, norm and bias parameters only when
/// `norm_and_bias` is true; then rule after rule changes what it names, so that the last one counts.
/// Throws Error for a rule that no parameter fits, and for one with both lr_scale and fixed_lr.
///
///     auto groups = optim::make_groups(method.trainable(), 1e-4, {{.matches = "predictor.", .fixed_lr = 0.05}});
inline Groups make_groups(const NamedParameters& parameters, double weight_decay, const Rules& rules = {},
                          bool norm_and_bias = false) {
    for (const auto& rule : rules) {
        require(!rule.lr_scale || !rule.fixed_lr, "optim::Rule: ", rule.subject(),
                " can have lr_scale or fixed_lr, not both");
        require(std::any_of(parameters.begin(), parameters.end(),
                            [&](const auto& item) { return rule.holds_for(item.first, item.second); }),
                "optim::Rule: ", rule.subject(), " matches none of the ", parameters.size(), " parameters",
                parameters.empty() ? "" : " (the first is '" + parameters.front().first + "')");
    }
    Groups groups;
    for (const auto& item : parameters) {
        const bool plain = !norm_and_bias && is_norm_or_bias(item.second);
        Group own{.parameters = {}, .weight_decay = plain ? 0 : weight_decay, .adapt = !plain};
        bool frozen = false;
        for (const auto& rule : rules) {
            if (!rule.holds_for(item.first, item.second)) continue;
            frozen |= rule.frozen;
            if (rule.lr_scale) own.lr_scale = *rule.lr_scale, own.fixed_lr.reset();
            if (rule.fixed_lr) own.fixed_lr = rule.fixed_lr, own.lr_scale = 1;
            own.weight_decay = rule.weight_decay.value_or(own.weight_decay);
            own.adapt = rule.adapt.value_or(own.adapt);
        }
        if (frozen) continue;
        auto same = std::find_if(groups.begin(), groups.end(), [&](const Group& group) {
            return group.weight_decay == own.weight_decay && group.lr_scale == own.lr_scale &&
                   group.fixed_lr == own.fixed_lr && group.adapt == own.adapt;
        });
        if (same == groups.end()) same = groups.insert(same, std::move(own));
        same->parameters.push_back(item);
    }
    return groups;
}

}  // namespace doppel::optim
