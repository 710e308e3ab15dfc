// SPDX-License-Identifier: Apache-2.0
// Parameter groups, with their weight decay and learning rate, and rules that make them.
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

/// Parameters with their names, in network order.
using NamedParameters = std::vector<std::pair<std::string, Tensor>>;

/// Parameters with the same optimizer options.
struct Group {
    NamedParameters parameters;
    double weight_decay = 0;           ///< ≥ 0
    double lr_scale = 1;               ///< multiplies the step's learning rate, ≥ 0
    std::optional<double> fixed_lr{};  ///< constant learning rate that replaces the step's, ≥ 0
    bool adapt = true;                 ///< whether LARS scales the step of each parameter by its trust ratio
};

using Groups = std::vector<Group>;

/// Returns true for parameters that usually do not decay: biases, and scales and offsets of normalization layers.
/// Decided by shape: at most one dimension.
inline bool is_norm_or_bias(const Tensor& parameter) { return parameter.dim() <= 1; }

/// Returns two groups: one with `weight_decay`, and one of norm and bias parameters without weight decay and LARS
/// adaptation. Omits empty groups.
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

/// Selects parameters by shape.
enum class Shapes {
    all,            ///< any shape
    norm_and_bias,  ///< at most one dimension
    weights,        ///< two or more dimensions
};

/// Different options for some parameters. Options that a rule does not set are unchanged.
///
///     optim::Rule{.matches = "predictor.", .fixed_lr = 0.05}                         // SimSiam's --fix-pred-lr
///     optim::Rule{.shapes = optim::Shapes::norm_and_bias, .lr_scale = 0.0048 / 0.2}  // Barlow Twins
///     optim::Rule{.matches = "patch_embed.", .frozen = true}
struct Rule {
    std::string matches{};                 ///< a part of the name: "predictor."; "": every name
    Shapes shapes = Shapes::all;           ///< shapes that the rule applies to
    std::optional<double> lr_scale{};      ///< multiplies the step's learning rate, ≥ 0
    std::optional<double> fixed_lr{};      ///< constant learning rate, ≥ 0; excludes lr_scale
    bool peak_lr = false;                  ///< constant learning rate: the optimizer's lr, the peak of a schedule
    std::optional<double> weight_decay{};  ///< ≥ 0
    std::optional<bool> adapt{};           ///< LARS adaptation
    bool frozen = false;                   ///< in no group: the optimizer does not train them

    /// Returns whether the rule applies to a parameter.
    bool applies_to(const std::string& name, const Tensor& parameter) const {
        const bool shape = shapes == Shapes::all || (shapes == Shapes::norm_and_bias) == is_norm_or_bias(parameter);
        return shape && name.find(matches) != std::string::npos;
    }

    /// Returns the parameters the rule applies to: "'predictor.'", "biases and normalization of 'encoder.'".
    std::string subject() const {
        const std::string whose = matches.empty() ? "" : "'" + matches + "'";
        if (shapes == Shapes::all) return matches.empty() ? "all parameters" : whose;
        return (shapes == Shapes::weights ? "weights" : "biases and normalization") +
               (matches.empty() ? "" : " of " + whose);
    }

    /// Returns "'predictor.': learning rate 0.05 throughout", for config.json.
    std::string describe() const {
        std::ostringstream text;
        text << subject();
        const char* between = ": ";
        const auto add = [&](const auto&... parts) {
            ((text << between) << ... << parts);
            between = ", ";
        };
        if (frozen) add("not trained");
        if (lr_scale) add("learning rate times ", *lr_scale);
        if (fixed_lr) add("learning rate ", *fixed_lr, " throughout");
        if (peak_lr) add("peak learning rate throughout");
        if (weight_decay) add("weight decay ", *weight_decay);
        if (adapt) add(*adapt ? "adapted" : "not adapted");
        return text.str();
    }
};

using Rules = std::vector<Rule>;

/// Returns the rules with fixed_lr = `lr` where peak_lr is set; `lr` is the optimizer's.
inline Rules at_peak(Rules rules, double lr) {
    for (Rule& rule : rules)
        if (rule.peak_lr) rule.fixed_lr = lr;
    return rules;
}

/// Groups parameters by rules. Initially each parameter has `weight_decay` and LARS adaptation, norm and bias
/// parameters only if `norm_and_bias` is true. Rules apply in order; the last one wins.
/// Throws Error for a rule that matches no parameter, and for one with both lr_scale and fixed_lr.
///
///     auto groups = optim::make_groups(method.trainable(), 1e-4, {{.matches = "predictor.", .fixed_lr = 0.05}});
inline Groups make_groups(const NamedParameters& parameters, double weight_decay, const Rules& rules = {},
                          bool norm_and_bias = false) {
    for (const auto& rule : rules) {
        require(!rule.lr_scale || !rule.fixed_lr, "optim::Rule: ", rule.subject(),
                " can have lr_scale or fixed_lr, not both");
        require(std::any_of(parameters.begin(), parameters.end(),
                            [&](const auto& item) { return rule.applies_to(item.first, item.second); }),
                "optim::Rule: ", rule.subject(), " matches none of the ", parameters.size(), " parameters",
                parameters.empty() ? "" : " (the first is '" + parameters.front().first + "')");
    }
    Groups groups;
    for (const auto& item : parameters) {
        const bool plain = !norm_and_bias && is_norm_or_bias(item.second);
        Group own{.parameters = {}, .weight_decay = plain ? 0 : weight_decay, .adapt = !plain};
        bool frozen = false;
        for (const auto& rule : rules) {
            if (!rule.applies_to(item.first, item.second)) continue;
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
