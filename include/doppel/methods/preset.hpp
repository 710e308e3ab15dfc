// SPDX-License-Identifier: Apache-2.0
// A preset: a recipe with everything else that its paper fixes.
#pragma once

#include <doppel/views/views.hpp>
#include <doppel/recipe/any_method.hpp>
#include <doppel/optim/clip.hpp>
#include <doppel/optim/freeze.hpp>
#include <doppel/optim/any_spec.hpp>
#include <doppel/schedules/schedules.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace doppel {

/// What a method needs to be trained as its paper does. Changing the method changes all of it: no method is
/// trained with another one's optimizer or views by oversight.
///
///     auto preset = methods::simclr(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::simclr_small());
///     preset.epochs = 200;
template <class R>
struct Preset {
    std::string name;                     ///< "simclr"
    R recipe;                             ///< the method's slots
    views::Views views;                   ///< what it looks at
    optim::AnyOptimizerSpec optimizer;             ///< how it is trained
    schedules::AnySchedule lr;                    ///< learning rate of each optimizer step
    std::int64_t epochs = 100;            ///< passes over the training images
    std::int64_t batch_size = 256;        ///< images an optimizer step
    Network evaluate = Network::online;   ///< whose encoder is the result
    std::optional<schedules::AnySchedule> weight_decay{};  ///< of each optimizer step, in place of the optimizer's where that is not 0
    optim::Clip clip{};                   ///< of gradients
    std::vector<optim::Freeze> frozen{};  ///< what is not trained at the beginning
};

/// `lr` where it is given (above 0), else the linear rule: `base` for 256 images a step.
inline double scaled_lr(double lr, double base, std::int64_t batch_size) {
    return lr > 0 ? lr : base * static_cast<double>(batch_size) / 256;
}

/// The preset with another recipe, for a method of one's own that is trained as a known one is.
///
///     auto mine = with_recipe(methods::simclr(encoder, options), "mine", recipe);
template <class R, class S>
Preset<S> with_recipe(const Preset<R>& preset, std::string name, S recipe) {
    return {std::move(name), std::move(recipe), preset.views, preset.optimizer, preset.lr, preset.epochs, preset.batch_size,
            preset.evaluate, preset.weight_decay, preset.clip, preset.frozen};
}

}  // namespace doppel
